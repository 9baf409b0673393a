"""Guilds, channels and monitors as they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_pipeline.domain.guild import Channel, ChannelAccess, Guild
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.storage.catalogue.guilds import (
    describe_channels,
    forget_guild,
    list_channels,
    list_guilds,
    list_monitor_patterns,
    list_monitored,
    mark_channels_missing,
    mark_guild_left,
    note_activity,
    save_channels,
    save_guild,
    set_monitor_patterns,
    set_reading_state,
)
from ingest_pipeline.storage.catalogue.setting_overrides import save_guild_settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.migrations import count_rows
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.messages.deletions import tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.runs.scan_runs import find_import, mark_import_started
from ingest_pipeline_tests.contract.readings import Reading, at, staged, tombstone

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
GUILD = 1101802452224856000
MESSAGE = 1101802452224856999
RADIO = Channel(
    1101802452224856174, GUILD, "team-radio", reading_state=ChannelAccess.READABLE, last_message_id=MESSAGE
)
THREAD = Channel(1101802452224856175, GUILD, "lap 1", "public_thread", parent_id=RADIO.channel_id)


def save(database: Database, *channels: Channel, now: datetime = NOW) -> int:
    """Keep channels."""
    return database.run(lambda connection: save_channels(connection, channels, now=now))


def channels_of(database: Database, guild_id: int | None = None) -> list[Channel]:
    """Return what is kept."""
    with database.read() as connection:
        return list_channels(connection, guild_id)


def stored(database: Database, channel_id: int) -> dict[str, Any]:
    """Return every column of a channel."""
    names = {"table": "channels", "columns": "*", "key": "channel_id"}
    with database.read() as connection:
        rows = connection.fetch_all("read_first_page", names, maximum=1000)
    return next(row for row in rows if row["channel_id"] == channel_id)


def test_channels_come_back_as_they_were_saved(database: Database) -> None:
    """Every field survives, threads come last, and other guilds' can be left out."""
    elsewhere = replace(RADIO, channel_id=7, guild_id=8)
    assert save(database, THREAD, RADIO, elsewhere) == 3
    assert channels_of(database, GUILD) == [RADIO, THREAD]
    assert channels_of(database) == [elsewhere, RADIO, THREAD]
    row = stored(database, RADIO.channel_id)
    assert (row["last_activity_at"], row["is_thread"], row["settings"]) == (created_at(MESSAGE), False, "{}")


def test_saving_the_same_again_changes_nothing(database: Database) -> None:
    """An unchanged channel keeps its time of change."""
    save(database, RADIO)
    assert save(database, RADIO, now=LATER) == 0
    assert stored(database, RADIO.channel_id)["updated_at"] == NOW


def test_a_renamed_channel_keeps_when_it_was_first_seen(database: Database) -> None:
    """Changes bring a new time of change and no new time of creation."""
    save(database, RADIO)
    assert save(database, replace(RADIO, name="radio"), now=LATER) == 1
    row = stored(database, RADIO.channel_id)
    assert (row["name"], row["created_at"], row["updated_at"]) == ("radio", NOW, LATER)


def test_what_is_not_reported_is_not_forgotten(database: Database) -> None:
    """A gateway event has neither the reading state nor, at times, the newest message."""
    save(database, RADIO)
    save(database, replace(RADIO, name="radio", reading_state=ChannelAccess.UNKNOWN, last_message_id=None))
    assert channels_of(database) == [replace(RADIO, name="radio")]
    save(database, replace(RADIO, last_message_id=MESSAGE - 1))
    assert channels_of(database)[0].last_message_id == MESSAGE


def test_a_new_message_is_noted(database: Database) -> None:
    """The newest message only ever moves forward."""
    save(database, RADIO)
    for message_id in (MESSAGE + 2, MESSAGE + 1):
        database.run(lambda connection, each=message_id: note_activity(connection, RADIO.channel_id, each))
    assert channels_of(database)[0].last_message_id == MESSAGE + 2


def test_the_reading_state_is_noted_once(database: Database) -> None:
    """Only a change counts as one."""
    save(database, RADIO)
    for expected in (True, False):
        assert expected is database.run(
            lambda connection: set_reading_state(
                connection, RADIO.channel_id, ChannelAccess.FORBIDDEN, now=LATER
            )
        )
    assert channels_of(database)[0].reading_state is ChannelAccess.FORBIDDEN


def test_what_a_listing_lacks_is_missing(database: Database) -> None:
    """Channels always are; threads only where their channel could be listed whole."""
    gone = replace(RADIO, channel_id=5)
    kept = replace(THREAD, channel_id=6, parent_id=4)
    save(database, RADIO, THREAD, gone, kept)
    marked = database.run(
        lambda connection: mark_channels_missing(
            connection, GUILD, [RADIO.channel_id], unlisted=[4], now=LATER
        )
    )
    assert marked == 2
    states = {channel.channel_id: channel.reading_state for channel in channels_of(database)}
    assert states[5] is states[THREAD.channel_id] is ChannelAccess.MISSING
    assert (states[6], states[RADIO.channel_id]) == (ChannelAccess.UNKNOWN, ChannelAccess.READABLE)


def test_monitors_mark_channels_present_and_to_come(database: Database) -> None:
    """Patterns hold for channels that are there, for threads below them, and for channels seen later."""
    save(database, RADIO, THREAD, replace(RADIO, channel_id=9, name="general"))
    database.run(lambda connection: set_monitor_patterns(connection, GUILD, ["*radio*"], now=NOW))
    with database.read() as connection:
        assert list_monitored(connection, GUILD) == [RADIO, THREAD]
        assert list_monitor_patterns(connection, GUILD) == ["*radio*"]
    save(database, replace(RADIO, channel_id=10, name="radio-2"))
    with database.read() as connection:
        assert [channel.channel_id for channel in list_monitored(connection)] == [
            10,
            RADIO.channel_id,
            THREAD.channel_id,
        ]
    database.run(lambda connection: set_monitor_patterns(connection, GUILD, [], now=LATER))
    with database.read() as connection:
        assert list_monitored(connection) == []


def test_a_guild_that_was_left_is_kept_and_can_be_joined_again(database: Database) -> None:
    """Leaving is a time, not a deletion."""
    guild = Guild(GUILD, "Paddock", None, 5, NOW)
    database.run(lambda connection: save_guild(connection, guild, now=NOW))
    database.run(lambda connection: mark_guild_left(connection, GUILD, now=LATER))
    with database.read() as connection:
        [row] = list_guilds(connection)
    assert (row["left_at"], row["joined_at"], row["created_at"]) == (LATER, NOW, NOW)
    database.run(lambda connection: save_guild(connection, Guild(GUILD, "Paddock"), now=LATER))
    with database.read() as connection:
        [row] = list_guilds(connection)
    assert (row["left_at"], row["owner_id"], row["last_seen_at"]) == (None, 5, LATER)


def test_a_guild_that_was_left_has_channels_that_cannot_be_read(database: Database) -> None:
    """Until it is joined and looked at again; a channel that is gone stays gone."""
    gone = replace(RADIO, channel_id=5, reading_state=ChannelAccess.MISSING)
    save(database, RADIO, gone)
    assert database.run(lambda connection: mark_guild_left(connection, GUILD, now=LATER))
    assert not database.run(lambda connection: mark_guild_left(connection, GUILD, now=LATER))
    states = {channel.channel_id: channel.reading_state for channel in channels_of(database)}
    assert states == {5: ChannelAccess.MISSING, RADIO.channel_id: ChannelAccess.FORBIDDEN}
    save(database, RADIO)
    assert RADIO in channels_of(database)


def test_a_changed_owner_is_a_change(database: Database) -> None:
    """Whereas being seen again is not one."""
    for owner, now in ((5, NOW), (5, LATER), (6, LATER)):
        guild = Guild(GUILD, "Paddock", None, owner, NOW)
        database.run(lambda connection, guild=guild, now=now: save_guild(connection, guild, now=now))
        with database.read() as connection:
            [row] = list_guilds(connection)
        assert row["updated_at"] == (NOW if owner == 5 else LATER)


def belongings(connection: Connection) -> dict[str, int]:
    """Return how many rows belong to guilds, by table."""
    tables = ("guilds", "channels", "guild_monitors", "guild_settings", "import_metadata")
    return {table: count_rows(connection, table) for table in tables}


def fill(connection: Connection) -> None:
    """Put a guild with everything that belongs to one, and a message, into the database."""
    save_channels(connection, [RADIO, THREAD], now=NOW)
    set_monitor_patterns(connection, GUILD, ["*radio*"], now=NOW)
    save_guild_settings(connection, GUILD, {"keep_media_only": True}, now=NOW)
    mark_import_started(connection, GUILD, correlation_id="c1", now=NOW)
    merge_messages(connection, staged([Reading()]), now=NOW)


def test_a_guild_goes_with_what_belongs_to_it_and_leaves_its_messages(database: Database) -> None:
    """On both engines alike; another guild stays whole."""
    database.run(fill)
    elsewhere = replace(RADIO, channel_id=7, guild_id=8)
    save(database, elsewhere)
    with database.write() as connection:
        assert forget_guild(connection, GUILD)
        assert not forget_guild(connection, GUILD)
        assert find_import(connection, GUILD) is None
        none = {"guild_monitors": 0, "guild_settings": 0, "import_metadata": 0}
        assert belongings(connection) == {"guilds": 1, "channels": 1, **none}
        assert count_rows(connection, "messages") == 1


def test_deleting_a_guild_in_sql_takes_what_belongs_to_it(make_database: Callable[[str], Database]) -> None:
    """Where the engine has cascades; and a channel without a guild is refused there."""
    database = make_database("postgres")
    database.run(fill)
    with database.write() as connection:
        connection.execute("clear_table", {"table": quoted("guilds")})
        assert set(belongings(connection).values()) == {0}
        assert count_rows(connection, "messages") == 1


def test_a_channel_is_described_with_what_is_stored_of_it(database: Database) -> None:
    """Counted are messages that are there; the newest is Discord's or the table's, whichever is newer."""
    channel_id = Reading().channel_id
    known = replace(RADIO, channel_id=channel_id, last_message_id=2)
    save(database, known, THREAD)
    with database.write() as connection:
        merge_messages(connection, staged([Reading(discord_id=each) for each in (1, 2, 3)]), now=NOW)
        tombstone_messages(connection, [tombstone(3, 4)])
        described, thread = describe_channels(connection, guild_id=GUILD)
        [alone] = describe_channels(connection, channel_id=THREAD.channel_id)
    assert (described["message_count"], described["last_message_id"]) == (2, 3)
    assert described["last_activity_at"] == at(3)
    assert thread == alone
    assert (thread["message_count"], thread["last_message_id"]) == (0, None)
