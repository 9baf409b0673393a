"""Changes of monitor patterns: patterns of a guild, and single channels."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ingest_pipeline.domain.guild import EXCEPT, monitored_ids
from ingest_pipeline.storage.catalogue.guilds import (
    find_channel,
    find_guild,
    list_channels,
    list_monitors,
    set_monitors,
)
from ingest_pipeline.storage.engine.database import Connection


def add_monitors(connection: Connection, guild_id: int, patterns: Collection[str], *, now: datetime) -> None:
    """Give a guild patterns beside those it has.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    find_guild(connection, guild_id)
    set_monitors(connection, guild_id, {*list_monitors(connection, guild_id), *patterns}, now=now)


def drop_monitors(
    connection: Connection, guild_id: int, patterns: Collection[str], *, now: datetime
) -> set[str]:
    """Take patterns from a guild and return those that it did not have.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    find_guild(connection, guild_id)
    present = set(list_monitors(connection, guild_id))
    set_monitors(connection, guild_id, present.difference(patterns), now=now)
    return set(patterns) - present


def monitor_channel(connection: Connection, channel_id: int, *, now: datetime) -> None:
    """Monitor a channel with its threads: by the guild's patterns if they do, or else by its id.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    _settle(connection, channel_id, is_wanted=True, now=now)


def unmonitor_channel(connection: Connection, channel_id: int, *, now: datetime) -> None:
    """Stop monitoring a channel with its threads, by an exception when other patterns match it.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    _settle(connection, channel_id, is_wanted=False, now=now)


def _settle(connection: Connection, channel_id: int, *, is_wanted: bool, now: datetime) -> None:
    guild_id = find_channel(connection, channel_id).guild_id
    own, exception = str(channel_id), f"{EXCEPT}{channel_id}"
    patterns = set(list_monitors(connection, guild_id)) - {own, exception}
    if (channel_id in monitored_ids(list_channels(connection, guild_id), patterns)) is not is_wanted:
        patterns.add(own if is_wanted else exception)
    set_monitors(connection, guild_id, patterns, now=now)
