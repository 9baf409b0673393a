"""Subscribed schedules: the section `schedules` of `data/settings.yaml`.

```yaml
schedules:
  f1:
    url: https://example.org/season.ics
    channel_ids: [1101802452224856174]
    default_length: 2h
    overrun_minutes: 60
    ahead_days: 366
```

A mistake in this section stops no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import yaml

from ingest_pipeline.domain.channel_settings import OVERRUN_MINUTES, read_value, unknown_key
from ingest_pipeline.domain.sessions.session import validate_session_id
from ingest_pipeline.errors import BadInput, ConfigurationError, SessionInvalid
from ingest_pipeline.redaction import guard
from ingest_pipeline.sources.schedule_download import web_address
from ingest_pipeline.userconfig.edited_files import (
    decode_text,
    is_null,
    line_of,
    mapping_items,
    read_edited_file,
    yaml_root,
)
from ingest_pipeline.userconfig.schedules.options import (
    DEFAULT_REACH,
    ScheduleOptions,
    parse_length,
    parse_zone,
)
from ingest_pipeline.userconfig.session_rows import parse_channel_id, shown
from ingest_pipeline.userconfig.settings_file import default_channel, written

if TYPE_CHECKING:
    from ingest_pipeline.settings import Settings

_FLAGS = {"true": True, "false": False, "yes": True, "no": False}
_MOST_DAYS = 3660
# What is over needs no session of a schedule that is only now subscribed to.
_BEHIND = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscribed schedule.

    Attributes:
        name: What it is called.
        url: `https:`, `webcal:` or `file:`; or None for one of the two below.
        discord_guild_id: The guild whose scheduled events are taken.
        trading: The market whose trading days are taken, by its ISO 10383 code.
        channel_ids: The channels of sessions that name none; empty for the default channel.
        default_length: As in `ScheduleOptions`, like the next three.
        assume_zone: See there.
        tentative: See there.
        whole_days: See there.
        ahead: How far ahead recurring events are followed.
        overrun: How far past their end its sessions may go on; None leaves that to their channels.
    """

    name: str
    url: str | None = None
    discord_guild_id: int | None = None
    trading: str | None = None
    channel_ids: tuple[int, ...] = ()
    default_length: timedelta | None = None
    assume_zone: ZoneInfo | None = None
    tentative: bool = False
    whole_days: bool = False
    ahead: timedelta = DEFAULT_REACH
    overrun: timedelta | None = None

    @property
    def path(self) -> str | None:
        """The file that is read, or None for another kind of schedule."""
        return self.url.removeprefix("file:") if self.url and self.url.startswith("file:") else None

    def options(self, settings: Settings, now: datetime) -> ScheduleOptions:
        """Return how it is read.

        Args:
            settings: For the default channel.
            now: The present, aware UTC.
        """
        # A scheduled event of Discord has a channel of its own.
        default = None if self.discord_guild_id is not None else default_channel(settings)
        fallback = () if default is None else (default,)
        return ScheduleOptions(
            since=now - _BEHIND,
            until=now + self.ahead,
            default_channel_ids=self.channel_ids or fallback,
            default_length=self.default_length,
            assume_zone=self.assume_zone,
            tentative=self.tentative,
            whole_days=self.whole_days,
            source=self.name,
            is_whole=True,
        )


def load_subscriptions(settings: Settings) -> list[Subscription]:
    """Return the subscribed schedules of the settings file, in its order; none without a file.

    Raises:
        ConfigurationError: The file cannot be read, or the section breaks a rule.
    """
    path = settings.settings_file
    if not path.is_file():
        return []
    try:
        return _subscriptions(path)
    except BadInput as error:
        raise ConfigurationError(str(error)) from error


def _subscriptions(path: Path) -> list[Subscription]:
    name = str(path)
    root = yaml_root(decode_text(read_edited_file(path), name), name)
    sections = {} if root is None else dict(mapping_items(root, name, "the document"))
    node = sections.get("schedules")
    if node is None or is_null(node):
        return []
    return [_subscription(key, below, name) for key, below in mapping_items(node, name, "schedules")]


def _subscription(key: str, node: yaml.Node, file: str) -> Subscription:
    where = f"{file}, line {line_of(node)}: schedule {shown(key)}"
    try:
        validate_session_id(key)
    except SessionInvalid as error:
        raise BadInput(f"{where}: its name is not legal: use letters, digits, '-', '_' or '.'") from error
    values: dict[str, Any] = {}
    for option, value in mapping_items(node, file, f"schedule {shown(key)}"):
        reader = _READERS.get(option)
        if reader is None:
            raise BadInput(f"{file}, line {line_of(value)}: {unknown_key(option, tuple(_READERS))}")
        try:
            field, read = reader
            values[field] = read(_scalar(value), option)
        except BadInput as error:
            raise BadInput(f"{file}, line {line_of(value)}: {error}") from error
    given = [each for each in ("url", "discord_guild_id", "trading") if each in values]
    if len(given) != 1:
        stated = " and ".join(given) or "none"
        raise BadInput(f"{where} needs one of url, discord_guild_id and trading, and has {stated}: keep one")
    return Subscription(key, **values)


def _scalar(node: yaml.Node) -> str | list[Any]:
    value = written(node)
    if value is None or is_null(node):
        raise BadInput("a value is missing: give one, or remove the line")
    return value


def _text(value: str | list[Any], option: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{option} {shown(value)} is not one value: give one")
    return value.strip()


def _url(value: str | list[Any], option: str) -> str:
    url = _text(value, option)
    if url.startswith("file:"):
        return url
    web_address(url)
    # The address of a private calendar is all that somebody needs to read it.
    guard(url.replace("webcal:", "https:", 1))
    return url


def _channels(value: str | list[Any], option: str) -> tuple[int, ...]:
    texts = value if isinstance(value, list) else re.split(r"[\s,;]+", _text(value, option))
    return tuple(sorted({parse_channel_id(str(text)) for text in texts if str(text).strip()}))


def _flag(value: str | list[Any], option: str) -> bool:
    flag = _FLAGS.get(_text(value, option).lower())
    if flag is None:
        raise BadInput(f"{option} {shown(value)} is neither true nor false")
    return flag


def _days(value: str | list[Any], option: str) -> timedelta:
    text = _text(value, option)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MOST_DAYS:
        raise BadInput(f"{option} {shown(text)} is not a number of days from 1 to {_MOST_DAYS}")
    return timedelta(days=int(text))


def _overrun(value: str | list[Any], option: str) -> timedelta:
    minutes = read_value(OVERRUN_MINUTES, value, option)
    return timedelta(minutes=int(minutes))  # type: ignore[arg-type]


def _id(value: str | list[Any], option: str) -> int:
    return parse_channel_id(_text(value, option))


_READERS: Mapping[str, tuple[str, Callable[[str | list[Any], str], Any]]] = {
    "url": ("url", _url),
    "discord_guild_id": ("discord_guild_id", _id),
    "trading": ("trading", _text),
    "channel_ids": ("channel_ids", _channels),
    "default_length": ("default_length", lambda value, option: parse_length(_text(value, option), option)),
    "assume_zone": ("assume_zone", lambda value, option: parse_zone(_text(value, option), option)),
    "tentative": ("tentative", _flag),
    "whole_days": ("whole_days", _flag),
    "ahead_days": ("ahead", _days),
    OVERRUN_MINUTES: ("overrun", _overrun),
}
