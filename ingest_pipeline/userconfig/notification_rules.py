"""Notification rules: the section `notifications` of `data/settings.yaml`.

```yaml
notifications:
  box_calls:
    when: radio
    driver: Leclerc
    words: 'box* -quali'
    to: pit_wall
```

The addresses are secrets and are not in the file: `pit_wall` is `INGEST_NOTIFY_PIT_WALL` in the environment.
A mistake in this section stops no message: nothing else reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import time, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from ingest_pipeline.domain.channel_settings import unknown_key
from ingest_pipeline.domain.notification import KIND_ALIASES, Occasion, QuietHours, Rule
from ingest_pipeline.domain.search.query import parse_query
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.userconfig.edited_files import (
    decode_text,
    is_null,
    line_of,
    mapping_items,
    read_edited_file,
    yaml_root,
)
from ingest_pipeline.userconfig.schedules.options import parse_zone
from ingest_pipeline.userconfig.session_rows import parse_channel_id, shown
from ingest_pipeline.userconfig.settings_file import written

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_MOST_PER_HOUR = 10_000
# What was sent is remembered for longer.
_MOST_MINUTES = 7 * 24 * 60


def load_notification_rules(path: Path, kinds: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules of the settings file, in its order; none without a file.

    Args:
        path: The file.
        kinds: The names of the kinds of content.

    Raises:
        ConfigurationError: The file cannot be read, or the section breaks a rule.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from error
    return _load(path, status.st_mtime_ns, status.st_size, tuple(kinds))


@lru_cache(maxsize=4)
def _load(path: Path, _modified: int, _size: int, kinds: tuple[str, ...]) -> tuple[Rule, ...]:
    name = str(path)
    try:
        root = yaml_root(decode_text(read_edited_file(path), name), name)
        sections = {} if root is None else dict(mapping_items(root, name, "the document"))
        node = sections.get("notifications")
        if node is None or is_null(node):
            return ()
        return tuple(
            _rule(key, below, name, kinds) for key, below in mapping_items(node, name, "notifications")
        )
    except BadInput as error:
        raise ConfigurationError(str(error)) from error


def _rule(key: str, node: yaml.Node, file: str, kinds: Collection[str]) -> Rule:
    where = f"{file}, line {line_of(node)}: notification {shown(key)}"
    if not _NAME.fullmatch(key):
        raise BadInput(f"{where} has a name that is not small letters, digits and _: choose another")
    stated: dict[str, Any] = {}
    for name, below in mapping_items(node, file, f"notification {key}"):
        place = f"{file}, line {line_of(below)}: notification {key}"
        if name not in _READERS:
            raise BadInput(f"{place}: {unknown_key(name, tuple(_READERS))}")
        try:
            stated |= _READERS[name](written(below))
        except BadInput as error:
            raise BadInput(f"{place}: {name}: {error}") from error
    when = stated.setdefault("when", Occasion.MESSAGE)
    known = (*Occasion, *kinds)
    if when not in known:
        raise BadInput(f"{where}: when: {unknown_key(when, (*known, *KIND_ALIASES))}")
    if not stated.get("to"):
        raise BadInput(
            f"{where} has no address: add `to: NAME` and set INGEST_NOTIFY_NAME in the environment"
        )
    zone, hours = stated.pop("zone", ZoneInfo("UTC")), stated.pop("hours", None)
    quiet = QuietHours(hours[0], hours[1], zone) if hours else None
    rule = Rule(name=key, quiet=quiet, **stated)
    if not rule.is_of_messages and (rule.words or rule.drivers):
        raise BadInput(f"{where}: words and driver are for messages, not for when: {when}")
    if rule.tickers and rule.kind is None:
        raise BadInput(f"{where}: ticker is for `when: setup`")
    return rule


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput("write a text")
    return value.strip()


def _texts(value: object) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _when(value: object) -> Mapping[str, Any]:
    text = _text(value)
    return {"when": KIND_ALIASES.get(text, text)}


def _to(value: object) -> Mapping[str, Any]:
    names = _texts(value)
    for name in names:
        if not _NAME.fullmatch(name):
            # It may be the address itself, which must not be in the file, let alone in a message.
            raise BadInput(
                "it is not a name of small letters, digits and _: name the address, and set "
                "INGEST_NOTIFY_<NAME> in the environment"
            )
    return {"to": tuple(dict.fromkeys(names))}


def _number(key: str, most: int, make: Callable[[int], Any], value: object) -> Mapping[str, Any]:
    text = _text(value)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise BadInput(f"{shown(text)} is not a number from 1 to {most}")
    return {key: make(int(text))}


def _hours(value: object) -> Mapping[str, Any]:
    found = _HOURS.fullmatch(_text(value).replace(" ", ""))
    if found is None:
        raise BadInput(f"{shown(str(value))} is not like '22:00-07:00'")
    start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if start == end:
        raise BadInput("it begins and ends at one time: leave the rule out to send nothing")
    return {"hours": (start, end)}


_READERS: dict[str, Callable[[Any], Mapping[str, Any]]] = {
    "when": _when,
    "to": _to,
    "words": lambda value: {"words": parse_query(_text(value))},
    "driver": lambda value: {"drivers": frozenset(each.lower() for each in _texts(value))},
    "ticker": lambda value: {"tickers": frozenset(each.upper().lstrip("$") for each in _texts(value))},
    "channel": lambda value: {"channel_ids": frozenset(map(parse_channel_id, _texts(value)))},
    "session": lambda value: {"session": _text(value)},
    "title": lambda value: {"title": _text(value)},
    "text": lambda value: {"text": _text(value)},
    "per_hour": partial(_number, "per_hour", _MOST_PER_HOUR, int),
    "quiet_hours": _hours,
    "time_zone": lambda value: {"zone": parse_zone(_text(value), "time_zone")},
    "newer_than_minutes": partial(
        _number, "newer_than", _MOST_MINUTES, lambda minutes: timedelta(minutes=minutes)
    ),
}
