"""Channels and sessions that a Dagster project declares in its own files, taken over into the database.

A declaration is stored like the files of the data folder: when it has changed, and as a whole. Its channels
are put into the catalogue if they are not there yet, so that settings can be set for them without a bot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from ingest_pipeline.domain.channel_settings import Value, Values, flatten
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.catalogue.guilds import list_channels, save_channels
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import SessionChanges, save_sessions
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline.userconfig.effective_settings import Scope, change_settings
from ingest_pipeline.userconfig.session_rows import SessionRow, build_sessions, parse_channel_id
from ingest_pipeline.userconfig.settings_file import SettingsFile


@dataclass(frozen=True, slots=True)
class DeclaredChannel:
    """A channel with the settings that hold for it.

    Attributes:
        channel_id: Its id.
        name: Its name, without `#`.
        settings: Values by dotted key; what is left out follows the other places that settings come from.
    """

    channel_id: int
    name: str
    settings: Values


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one declaration says.

    Attributes:
        name: Distinguishes it from others.
        guild_id: The guild of its channels.
        channels: Its channels, the first of which is that of sessions that name none.
        sessions: Its sessions.
    """

    name: str
    guild_id: int
    channels: tuple[DeclaredChannel, ...]
    sessions: tuple[Session, ...]

    @property
    def digest(self) -> str:
        """A digest that distinguishes versions of the declaration."""
        return blake2b(json.dumps(asdict(self), default=str).encode(), digest_size=16).hexdigest()


def read_declaration(
    name: str, guild_id: object, channels: Sequence[Mapping[str, Any]], sessions: Sequence[Mapping[str, Any]]
) -> Declaration:
    """Return a declaration out of what was written.

    Args:
        name: Distinguishes it from others, and stands in messages.
        guild_id: The guild's id.
        channels: `id`, `name` and `settings` of each, the settings as in `settings.yaml`.
        sessions: Fields of each as in `sessions.yaml`.

    Raises:
        BadInput: An id, a setting or a session breaks a rule; the message says where and what to write.
    """
    declared = tuple(
        DeclaredChannel(
            parse_channel_id(str(channel["id"])),
            str(channel.get("name") or channel["id"]),
            flatten(channel.get("settings") or {}, f"channel {channel['id']}", lambda _: f"{name}: "),
        )
        for channel in channels
    )
    rows = [
        SessionRow(f"session {number}", tuple((field, _written(value)) for field, value in session.items()))
        for number, session in enumerate(sessions, 1)
    ]
    default = declared[0].channel_id if declared else None
    built = build_sessions(rows, name, default_channel_id=default)
    return Declaration(name, parse_channel_id(str(guild_id)), declared, tuple(built))


def _written(value: object) -> str | list[str] | None:
    """Return a value of YAML as it is written in a file of sessions."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)


def store_declaration(
    database: Database, file: SettingsFile, declaration: Declaration, now: datetime
) -> SessionChanges | None:
    """Store a declaration if it has changed since the last time.

    Sessions are created and updated, never removed. A setting that has left the declaration is unset.

    Args:
        file: What `data/settings.yaml` says.
        now: Time of the change, aware UTC.

    Returns:
        What changed in the sessions, or None when the declaration is as it was.

    Raises:
        BadInput: Settings contradict each other; nothing is changed.
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    key = f"declared:{declaration.name}"
    with database.read() as connection:
        if _stored(connection, key).get("digest") == declaration.digest:
            return None

    def save(connection: Connection) -> SessionChanges:
        earlier = _stored(connection, key).get("settings", {})
        known = {channel.channel_id for channel in list_channels(connection, declaration.guild_id)}
        new = [
            Channel(each.channel_id, declaration.guild_id, each.name)
            for each in declaration.channels
            if each.channel_id not in known
        ]
        save_channels(connection, new, now=now)
        for channel in declaration.channels:
            unset: dict[str, Value | None] = dict.fromkeys(earlier.get(str(channel.channel_id), []))
            scope = Scope(declaration.guild_id, channel.channel_id)
            change_settings(connection, file, scope, {**unset, **channel.settings}, now=now)
        settings = {str(each.channel_id): sorted(each.settings) for each in declaration.channels}
        set_state(connection, key, json.dumps({"digest": declaration.digest, "settings": settings}))
        return save_sessions(connection, declaration.sessions, now=now)

    return database.run(save)


def _stored(connection: Connection, key: str) -> dict[str, Any]:
    return dict(json.loads(get_state(connection, key) or "{}"))
