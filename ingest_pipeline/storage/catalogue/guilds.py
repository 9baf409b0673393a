"""The catalogue: guilds, channels, users and patterns of monitored channels.

What belongs to a guild goes with it. PostgreSQL sees to that by foreign keys; DuckDB has no cascades, and
its foreign keys refuse changes of the rows referred to, so there this module does it alone.

Guilds and channels are defined in `domain/guild.py`; how they are read from Discord is
in `sources/discord/discovery.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_pipeline.domain.guild import EXCEPT, Channel, ChannelAccess, Guild, monitored_ids
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import NothingFound
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.migrations import count_rows
from ingest_pipeline.storage.messages.membership import keep_parents
from ingest_pipeline.storage.runs.state import get_state, set_state

_SYNC = "`ingest guilds sync` looks"
_SYNCED_AT = "users_synced_at"
# A transaction that was still open at the last sync may have written with an earlier time.
_LONGEST_TRANSACTION = timedelta(minutes=30)


def save_guild(connection: Connection, guild: Guild, *, now: datetime) -> None:
    """Keep a guild as it is now; one that was left is there again."""
    connection.execute("save_guild", **asdict(guild), now=now)


def mark_guild_left(connection: Connection, guild_id: int, *, now: datetime) -> bool:
    """Note that the bot has left a guild and reads none of its channels; return whether that is new.

    What was read there stays, and so do its patterns and settings, for the bot may be back.
    """
    if not connection.execute("mark_guild_left", guild_id=guild_id, now=now):
        return False
    connection.execute("shut_channels", guild_id=guild_id, now=now)
    return True


def forget_guild(connection: Connection, guild_id: int) -> bool:
    """Remove a guild with its channels, patterns, settings and the note of its import; its messages stay.

    Returns:
        Whether there was such a guild.
    """
    for what in ("channels", "monitor_patterns", "settings", "import"):
        connection.execute(f"delete_guild_{what}", guild_id=guild_id)
    return bool(connection.execute("delete_guild", guild_id=guild_id))


def list_guilds(connection: Connection) -> list[dict[str, Any]]:
    """Return all guilds, columns as in the table and `icon_url`, those that were left last."""
    return connection.fetch_all("list_guilds")


def save_channels(connection: Connection, channels: Sequence[Channel], *, now: datetime) -> int:
    """Keep channels as they are now and mark those that are monitored.

    Args:
        channels: Channels and threads; a reading state of `UNKNOWN` leaves the one that is stored.
        now: Time of the change, aware UTC.

    Returns:
        How many were new or changed.
    """
    wanted = list({channel.channel_id: channel for channel in channels}.values())
    if not wanted:
        return 0
    guild_ids = {channel.guild_id for channel in wanted}
    keep_parents(
        connection,
        {each.channel_id: each.parent_id for each in wanted if each.is_thread and each.parent_id is not None},
        now=now,
    )
    connection.execute("name_guilds", guild_ids=sorted(guild_ids), now=now)
    changed = connection.execute(
        "save_channels",
        channel_ids=[channel.channel_id for channel in wanted],
        guild_ids=[channel.guild_id for channel in wanted],
        parent_ids=[channel.parent_id for channel in wanted],
        names=[channel.name for channel in wanted],
        channel_types=[channel.channel_type for channel in wanted],
        are_nsfw=[channel.is_nsfw for channel in wanted],
        positions=[channel.position for channel in wanted],
        are_threads=[channel.is_thread for channel in wanted],
        are_archived=[channel.is_archived for channel in wanted],
        reading_states=[channel.reading_state.value for channel in wanted],
        last_message_ids=[channel.last_message_id for channel in wanted],
        last_activity_ats=[
            created_at(channel.last_message_id) if channel.last_message_id else None for channel in wanted
        ],
        now=now,
    )
    for guild_id in guild_ids:
        _mark_monitored(connection, guild_id, now)
    return changed


def mark_channels_missing(
    connection: Connection,
    guild_id: int,
    seen: Collection[int],
    *,
    unlisted: Collection[int] = (),
    now: datetime,
) -> int:
    """Note which of a guild's channels and threads a complete listing did not show.

    Args:
        seen: What the listing showed.
        unlisted: Channels whose threads it could not list whole; these are left as they are.
        now: Time of the change, aware UTC.

    Returns:
        How many were not known to be missing.
    """
    return connection.execute(
        "mark_channels_missing",
        guild_id=guild_id,
        seen_ids=list(seen),
        unlisted_ids=list(unlisted),
        now=now,
    )


def set_reading_state(
    connection: Connection, channel_id: int, state: ChannelAccess, *, now: datetime
) -> bool:
    """Note whether a channel's history can be read; return whether that is new."""
    changed = connection.execute(
        "set_reading_state", channel_id=channel_id, reading_state=state.value, now=now
    )
    return bool(changed)


def note_activity(connection: Connection, channel_id: int, message_id: int) -> None:
    """Note a message that was posted in a channel, whether it is stored or not."""
    connection.execute(
        "note_activity", channel_id=channel_id, message_id=message_id, posted_at=created_at(message_id)
    )


def describe_channels(
    connection: Connection, *, guild_id: int | None = None, channel_id: int | None = None
) -> list[dict[str, Any]]:
    """Return channels with what is stored of them, by guild and position, threads last.

    Args:
        guild_id: Only this guild's.
        channel_id: Only this one.

    Returns:
        The columns of the view `channel_catalogue`: `last_message_id` and `last_activity_at` are the newest
        known to Discord or stored, `message_count` counts stored messages that are not deleted.
    """
    return connection.fetch_all("describe_channels", guild_id=guild_id, channel_id=channel_id)


def find_guild(connection: Connection, guild_id: int) -> dict[str, Any]:
    """Return a guild, columns as in the table and `icon_url`.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    row = connection.fetch_one("find_guild", guild_id=guild_id)
    if row is None:
        raise NothingFound(f"guild {guild_id} is not in the catalogue: is the bot in it? {_SYNC}")
    return row


def find_channel(connection: Connection, channel_id: int) -> Channel:
    """Return a channel.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    row = connection.fetch_one("find_channel", channel_id=channel_id)
    if row is None:
        raise _unknown_channel(channel_id)
    return _channel(row)


def describe_channel(connection: Connection, channel_id: int) -> dict[str, Any]:
    """Return a channel as `describe_channels` does.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    found = describe_channels(connection, channel_id=channel_id)
    if not found:
        raise _unknown_channel(channel_id)
    return found[0]


def _unknown_channel(channel_id: int) -> NothingFound:
    return NothingFound(f"channel {channel_id} is not in the catalogue: is the bot in its guild? {_SYNC}")


def list_channels(connection: Connection, guild_id: int | None = None) -> list[Channel]:
    """Return the channels of a guild or of all, by position, threads last."""
    return [_channel(row) for row in connection.fetch_all("list_channels", guild_id=guild_id)]


def list_monitored(connection: Connection, guild_id: int | None = None) -> list[Channel]:
    """Return the monitored channels of a guild or of all, by position, threads last."""
    rows = connection.fetch_all("list_channels", guild_id=guild_id)
    return [_channel(row) for row in rows if row["is_monitored"]]


def list_monitor_patterns(connection: Connection, guild_id: int) -> list[str]:
    """Return a guild's patterns (see `monitored_ids`)."""
    return [row["pattern"] for row in connection.fetch_all("list_monitor_patterns", guild_id=guild_id)]


def set_monitor_patterns(
    connection: Connection, guild_id: int, patterns: Collection[str], *, now: datetime
) -> None:
    """Give a guild these patterns in place of those it had, and mark its channels by them."""
    connection.execute("name_guilds", guild_ids=[guild_id], now=now)
    connection.execute("mark_monitors_chosen", guild_id=guild_id, now=now)
    connection.execute("delete_guild_monitor_patterns", guild_id=guild_id)
    connection.execute("insert_monitor_patterns", guild_id=guild_id, patterns=sorted(set(patterns)))
    _mark_monitored(connection, guild_id, now)


def _mark_monitored(connection: Connection, guild_id: int, now: datetime) -> None:
    ids = monitored_ids(list_channels(connection, guild_id), list_monitor_patterns(connection, guild_id))
    connection.execute("set_monitored", guild_id=guild_id, channel_ids=sorted(ids), now=now)


def _channel(row: dict[str, Any]) -> Channel:
    values = {key: value for key, value in row.items() if key != "is_monitored"}
    return Channel(**{**values, "reading_state": ChannelAccess(row["reading_state"])})


@dataclass(frozen=True, slots=True)
class UserSync:
    """The result of a sync of the users.

    Attributes:
        known: How many there are now.
        created: How many were new.
        updated: Of how many something changed.
    """

    known: int
    created: int
    updated: int


def sync_users(connection: Connection, *, now: datetime) -> UserSync:
    """Synchronise the users with the messages that came or changed since the last time."""
    last = get_state(connection, _SYNCED_AT)
    since = datetime.fromisoformat(last) - _LONGEST_TRANSACTION if last else datetime.min.replace(tzinfo=UTC)
    before = count_rows(connection, "users")
    changed = connection.execute("sync_users", since=since, now=now)
    known = count_rows(connection, "users")
    set_state(connection, _SYNCED_AT, now.isoformat())
    return UserSync(known, created=known - before, updated=changed - (known - before))


def list_users(connection: Connection) -> list[dict[str, Any]]:
    """Return all users by name, columns as in the table."""
    return connection.fetch_all("list_users")


def add_monitor_patterns(
    connection: Connection, guild_id: int, patterns: Collection[str], *, now: datetime
) -> None:
    """Give a guild patterns beside those it has.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    find_guild(connection, guild_id)
    set_monitor_patterns(
        connection, guild_id, {*list_monitor_patterns(connection, guild_id), *patterns}, now=now
    )


def remove_monitor_patterns(
    connection: Connection, guild_id: int, patterns: Collection[str], *, now: datetime
) -> set[str]:
    """Take patterns from a guild and return those that it did not have.

    Raises:
        NothingFound: It is not in the catalogue.
    """
    find_guild(connection, guild_id)
    present = set(list_monitor_patterns(connection, guild_id))
    set_monitor_patterns(connection, guild_id, present.difference(patterns), now=now)
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
    patterns = set(list_monitor_patterns(connection, guild_id)) - {own, exception}
    if (channel_id in monitored_ids(list_channels(connection, guild_id), patterns)) is not is_wanted:
        patterns.add(own if is_wanted else exception)
    set_monitor_patterns(connection, guild_id, patterns, now=now)
