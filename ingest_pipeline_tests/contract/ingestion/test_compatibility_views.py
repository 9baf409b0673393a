"""Programs that were written for the tables of an earlier bot find them, as views."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.events import EventType
from ingest_pipeline.ingestion.batch_events import bot_event
from ingest_pipeline.storage.catalogue.guilds import save_channels, set_monitor_patterns
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline_tests.contract.readings import CHANNEL, Reading, at, staged

NOW = datetime(2026, 9, 6, 13, tzinfo=UTC)
COLUMNS = {
    "discord_channels": "id, channel_id, channel_name, guild_id, is_monitored, created_at, updated_at",
    "discord_messages": "id, message_id, channel_id, author_id, content, timestamp, processed, created_at",
    "events": "event_id, event_type, source, data, created_at",
}


def rows(database: Database, table: str) -> list[dict[str, Any]]:
    """Return the columns that the earlier tables had."""
    names = {"table": table, "columns": COLUMNS[table], "key": COLUMNS[table].split(",", maxsplit=1)[0]}
    with database.read() as connection:
        return connection.fetch_all("read_first_page", names, maximum=100)


def test_channels_are_reported_with_whether_they_are_monitored(database: Database) -> None:
    """Ids are text, as they were; categories are no channels there."""
    channels = [Channel(2, 1, "aplus-setups"), Channel(3, 1, "Race", "category")]

    def work(connection: Connection) -> None:
        save_channels(connection, channels, now=NOW)
        set_monitor_patterns(connection, 1, ["*setups*"], now=NOW)

    database.run(work)
    [row] = rows(database, "discord_channels")
    assert row == {
        "id": 2,
        "channel_id": "2",
        "channel_name": "aplus-setups",
        "guild_id": "1",
        "is_monitored": True,
        "created_at": NOW,
        "updated_at": NOW,
    }


def test_live_messages_are_reported_with_whether_they_are_processed(database: Database) -> None:
    """A deleted one is not there; one whose content is to be read again is not processed."""
    database.run(lambda c: merge_messages(c, staged([Reading(7), Reading(8), Reading(9)]), now=at(0)))

    def work(connection: Connection) -> None:
        gone = Tombstone(8, CHANNEL, None, NOW + timedelta(days=1), "gateway", "c1")
        tombstone_messages(connection, [gone])
        connection.load("relinked_messages", pa.table({"discord_id": pa.array([9], pa.int64())}))

    database.run(work)
    found = rows(database, "discord_messages")
    assert [(row["id"], row["message_id"], row["processed"]) for row in found] == [
        (7, "7", True),
        (9, "9", False),
    ]
    assert found[0]["channel_id"] == str(CHANNEL)


def test_events_of_the_bot_have_the_source_that_is_asked_for(database: Database) -> None:
    """`source = 'discord_bot'`, for what the bot does."""
    database.run(lambda c: publish(c, [bot_event(EventType.BOT_READY, "c1", NOW)]))
    [row] = rows(database, "events")
    assert (row["event_type"], row["source"]) == ("bot.ready", "discord_bot")
