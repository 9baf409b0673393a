"""Messages with something to say, merged like any other, and what the content tables hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.extract.drivers import DriverTable
from ingest_pipeline.domain.messages.message import Author, RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.documents.document import rows_table
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import CHANNEL, START, at

SESSION = Session("monza", START, START + timedelta(hours=2), (CHANNEL,), year=2025)
RULES = ContentRules(
    drivers=DriverTable.from_mapping(
        {
            "seasons": {
                2025: [{"name": "Charles Leclerc", "code": "LEC", "number": 16, "team": "Ferrari"}],
                2026: [{"name": "Lando Norris", "code": "NOR", "number": 1, "team": "McLaren"}],
            }
        }
    )
)
TABLES = ("radio_messages", "trade_setups", "ticker_biases", "unparsed_lines", "clips", "highlights")
PLAN = """A+ Scalp Trade Setups — Thu May 29

NVDA
🔻 Aggressive Breakdown Below 141.33 🔻 139.90, 138.40
🔄 Bounce Zone 138.50-139.00 🔼 142.00, 143.80
🔼 Breakout above 12O 🔼 150
⚠️ Bias — bearish into open"""


def id_at(seconds: float, low_bits: int = 0) -> int:
    """Return the id of a message posted so many seconds after the beginning."""
    return first_id_at(at(seconds)) + low_bits


def posted(
    seconds: float,
    content: str = "words",
    *,
    read: float = 7200,
    low_bits: int = 0,
    channel_id: int = CHANNEL,
    **fields: Any,
) -> tuple[dict[str, Any], RawMessage]:
    """Return a message posted and read so many seconds after the beginning, with where it belongs."""
    shared = {
        "guild_id": 7,
        "channel_id": channel_id,
        "source": "export",
        "observed_at": at(read),
        "correlation_id": "c1",
    }
    raw = RawMessage(
        id=str(id_at(seconds, low_bits)),
        timestamp=at(seconds).isoformat(),
        content=content,
        **{"author": Author(id="9", name="Pit wall"), **fields},
    )
    return shared, raw


def merge(connection: Connection, *messages: tuple[dict[str, Any], RawMessage]) -> list[int]:
    """Merge messages as any source would, those read at one time together, and return their ids."""
    normalize = build_normalizer(0, ChannelPolicy(keep_media_only=True), None)
    for moment in sorted({shared["observed_at"] for shared, _ in messages}):
        group = [(shared, raw) for shared, raw in messages if shared["observed_at"] == moment]
        rows = normalize([raw for _, raw in group])
        assert not rows.skipped
        columns = {name: [shared[name] for shared, _ in group] for name in group[0][0]}
        merge_messages(connection, rows_table(rows, columns), now=moment)
    return [int(str(raw.id)) for _, raw in messages]


def delete(connection: Connection, discord_ids: Sequence[int], moment: datetime = START) -> None:
    """Delete messages."""
    tombstone_messages(
        connection, [Tombstone(each, CHANNEL, 7, moment, "gateway", "d1") for each in discord_ids]
    )


def contents(connection: Connection, *tables: str) -> dict[str, list[dict[str, Any]]]:
    """Return what content tables hold, apart from when it was extracted."""
    found = {}
    for table in tables or TABLES:
        names = {"table": quoted(table), "columns": "*", "key": "discord_id"}
        rows = connection.fetch_all("read_first_page", names, maximum=10**6)
        rows = [{k: v for k, v in row.items() if k != "extracted_at"} for row in rows]
        found[table] = sorted(rows, key=lambda row: tuple(map(str, list(row.values())[:2])))
    return found


def flagged(connection: Connection) -> set[int]:
    """Return the messages that are highlight candidates."""
    names = {"table": "messages", "columns": "discord_id, is_highlight_candidate", "key": "discord_id"}
    rows = connection.fetch_all("read_first_page", names, maximum=10**6)
    return {row["discord_id"] for row in rows if row["is_highlight_candidate"]}
