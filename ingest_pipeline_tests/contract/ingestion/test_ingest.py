"""The one path into the table, from documents to rows and proofs, on both engines."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_pipeline.domain.messages.details import DETAIL_COLUMNS
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.documents.chunks import ChunkSizes
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.documents.normalized_store import NormalizedStore
from ingest_pipeline.ingestion.documents.payloads import PayloadDocument
from ingest_pipeline.ingestion.gateway_events import interpret
from ingest_pipeline.ingestion.ingest import IngestReport, ingest_documents
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.landing.spool import Record
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline.storage.messages.deletions import table_summary
from ingest_pipeline.storage.runs.events import events_of_journey
from ingest_pipeline_tests.contract.readings import stored_messages
from ingest_pipeline_tests.exports import CHANNEL_ID, REAL, START, as_bytes, export, message

SESSION = Window(START, START + timedelta(hours=2))
SETTLE = timedelta(seconds=60)


def document(
    raw: bytes, read_at: datetime | None = None, *, window: Window | None = SESSION, complete: bool = False
) -> ExportDocument:
    """Return an export as a document."""
    header = read_header(io.BytesIO(raw), "test.json")
    return ExportDocument(
        opener=lambda: io.BytesIO(raw),
        name="test.json",
        header=header,
        policy=ChannelPolicy(),
        window=window,
        complete=complete,
        provenance=Provenance("monza", "export", read_at or header.exported_at or START, "journey"),
    )


def ingest(database: Database, *documents: Any, batch_rows: int = 20_000) -> IngestReport:
    """Merge documents."""
    return ingest_documents(
        database, documents, correlation_id="journey", settle=SETTLE, batch_rows=batch_rows
    )


@pytest.mark.slow
@pytest.mark.parametrize("batch_rows", [20_000, 100])
def test_every_message_of_the_real_export_is_accounted_for(database: Database, batch_rows: int) -> None:
    """Rows and skips together are what the file holds, and a second import changes nothing."""
    raw = (REAL / "text-channel-2384.json").read_bytes()
    first = ingest(database, document(raw, window=None), batch_rows=batch_rows)
    assert (first.received, first.created, first.skipped) == (2384, 2297, {"media_only": 87})
    again = ingest(database, document(raw, window=None), batch_rows=batch_rows)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2297)
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 2297


@pytest.mark.slow
@pytest.mark.parametrize("block", [80, 500])
def test_an_import_of_several_transactions_keeps_all_of_them(database: Database, block: int) -> None:
    """Whether a transaction is one batch or several, and the proofs come with the last of them."""
    raw = (REAL / "text-channel-2384.json").read_bytes()
    sizes, derived, states = ChunkSizes(block, 2), list[list[int]](), list[tuple[int, int]]()
    window = Window(datetime(2023, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))

    def on_rows_merged(connection: Connection, ids: Sequence[int]) -> None:
        derived.append(list(ids))
        proven = proofs(connection, 1169508251549769566)
        states.append((table_summary(connection)["rows"], len(proven)))

    def work(raw: bytes) -> IngestReport:
        return ingest_documents(
            database,
            [document(raw, window=window, complete=True)],
            correlation_id="journey",
            settle=SETTLE,
            batch_rows=200,
            chunk_sizes=sizes,
            on_rows_merged=on_rows_merged,
        )

    first = work(raw)
    assert (first.received, first.created, first.skipped) == (2384, 2297, {"media_only": 87})
    rows = pa.concat_tables(document(raw, window=window, complete=True).batches(Tally())).to_pylist()
    chunks = [rows[start : start + 2 * block] for start in range(0, 2384, 2 * block)]
    taken = [[row["discord_id"] for row in chunk if row["skip_reason"] is None] for chunk in chunks]
    assert derived == [sorted(ids) for ids in taken]
    assert states == [(sum(map(len, taken[: n + 1])), 0) for n in range(len(taken))]
    assert len(first.coverage) == 1
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 2297
        assert len(proofs(connection, 1169508251549769566)) == 1
    edited = raw.replace(b'"isPinned": false', b'"isPinned": true', 1)
    assert edited != raw
    derived.clear()
    again = work(edited)
    assert (again.created, again.updated, again.unchanged) == (0, 1, 2296)
    [changed] = filter(None, derived)
    assert len(changed) == 1


def test_a_failure_between_two_transactions_leaves_what_nothing_claims_to_be_complete(
    database: Database,
) -> None:
    """The first transaction stays, without a proof; the next import finds its rows unchanged."""
    raw = as_bytes(export([message(index, "x") for index in range(30)]))

    def work(on_rows_merged: Callable[[Connection, Sequence[int]], None] | None = None) -> IngestReport:
        return ingest_documents(
            database,
            [document(raw, SESSION.end + SETTLE, complete=True)],
            correlation_id="journey",
            settle=SETTLE,
            chunk_sizes=ChunkSizes(5, 2),
            on_rows_merged=on_rows_merged,
        )

    def fail_at_the_second(connection: Connection, _: Sequence[int]) -> None:
        if table_summary(connection)["rows"] > 10:
            raise LookupError

    with pytest.raises(LookupError):
        work(fail_at_the_second)
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 10
        assert proofs(connection, CHANNEL_ID) == []
    report = work()
    assert (report.created, report.unchanged) == (20, 10)
    assert report.coverage == [(CHANNEL_ID, SESSION.low, SESSION.high)]


def test_overlapping_windows_leave_each_message_once(database: Database) -> None:
    """Whatever two reads share is one row, as the later read has it."""
    for name in ("overlapping-window-2", "overlapping-window-1", "overlapping-window-3"):
        ingest(database, document((REAL / f"{name}.json").read_bytes(), window=None))
    with database.read() as connection:
        rows = stored_messages(connection)
    assert len({row["discord_id"] for row in rows}) == len(rows) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b'"messageCount": 400', b'"messageCount": 401'),
        lambda raw: raw.replace(b'"isPinned": false', b'"isPinned": ', 1),
    ],
)
def test_a_damaged_document_leaves_the_table_as_it_was(
    database: Database, damage: Callable[[bytes], bytes]
) -> None:
    """Also when the damage comes after many good messages and other documents."""
    ingest(database, document(as_bytes(export([message(1, "before")]))))
    with database.read() as connection:
        before = stored_messages(connection)
    good = as_bytes(export([message(index, "x") for index in range(400)]))
    with pytest.raises(BadInput):
        ingest(database, document(good), document(damage(good)), batch_rows=10)
    with database.read() as connection:
        assert stored_messages(connection) == before
        assert proofs(connection, CHANNEL_ID) == []


def test_a_complete_reading_proves_its_window_up_to_what_it_can_have_seen(database: Database) -> None:
    """A minute before the reading, whatever the clocks say within that minute."""
    read_at = START + timedelta(minutes=5)
    report = ingest(database, document(as_bytes(export([message(1)])), read_at, complete=True))
    expected = (CHANNEL_ID, SESSION.low, first_id_at(read_at - SETTLE) - 1)
    assert report.coverage == [expected]
    with database.read() as connection:
        (proof,) = proofs(connection, CHANNEL_ID)
    assert (proof.channel_id, proof.low, proof.high, proof.observed_at) == (*expected, read_at)


def test_the_newest_message_proves_what_is_before_it_whatever_the_clock_says(database: Database) -> None:
    """Discord's order needs no clock."""
    newest = message(299)
    report = ingest(
        database,
        document(as_bytes(export([message(1), newest])), START + timedelta(minutes=5), complete=True),
    )
    assert report.coverage == [(CHANNEL_ID, SESSION.low, int(newest["id"]))]


def test_a_reading_after_the_end_proves_the_window_and_no_more(database: Database) -> None:
    """Even of an empty window."""
    report = ingest(database, document(as_bytes(export([])), SESSION.end + SETTLE, complete=True))
    assert report.coverage == [(CHANNEL_ID, SESSION.low, SESSION.high)]


def test_a_reading_at_the_very_start_proves_nothing(database: Database) -> None:
    """There is nothing it could have seen."""
    assert ingest(database, document(as_bytes(export([])), START, complete=True)).coverage == []


def test_a_file_proves_nothing(database: Database) -> None:
    """Nobody saw how its export ended."""
    assert ingest(database, document(as_bytes(export([message(1)])), complete=False)).coverage == []


def test_what_is_written_besides_belongs_to_the_same_transaction(database: Database) -> None:
    """A cursor that moves without its rows would lose them."""

    def before_merge(connection: Connection) -> None:
        connection.execute("set_state", key="cursor", value="moved")

    damaged = as_bytes(export([message(1)], messageCount=9))
    with pytest.raises(BadInput):
        ingest_documents(
            database, [document(damaged)], correlation_id="x", settle=SETTLE, before_merge=before_merge
        )
    with database.read() as connection:
        assert connection.fetch_one("get_state", key="cursor") is None
        assert table_summary(connection)["rows"] == 0
    good = as_bytes(export([message(1)]))
    ingest_documents(database, [document(good)], correlation_id="x", settle=SETTLE, before_merge=before_merge)
    with database.read() as connection:
        assert connection.fetch_one("get_state", key="cursor") == {"value": "moved"}
        assert table_summary(connection)["rows"] == 1


@pytest.mark.parametrize("hook", ["before_merge", "after_merge"])
def test_what_belongs_to_a_transaction_makes_one_of_many_rows(database: Database, hook: str) -> None:
    """A failure at the last row leaves none, however small the chunks are."""

    def nothing(_: Connection) -> list[Event]:
        return []

    def fail_at_the_end(connection: Connection, _: Sequence[int]) -> None:
        if table_summary(connection)["rows"] == 30:
            raise LookupError

    hooks: dict[str, Any] = {hook: nothing}
    with pytest.raises(LookupError):
        ingest_documents(
            database,
            [document(as_bytes(export([message(index) for index in range(30)])))],
            correlation_id="journey",
            settle=SETTLE,
            chunk_sizes=ChunkSizes(5, 2),
            on_rows_merged=fail_at_the_end,
            **hooks,
        )
    with database.read() as connection:
        assert table_summary(connection)["rows"] == 0


def test_a_report_shows_everything_in_json(database: Database) -> None:
    """Ids as strings, times as ISO 8601, of several documents the earliest and the latest bound."""
    inside = Window(START + timedelta(minutes=1), START + timedelta(hours=3))
    silent = message(2, "", attachments=SAME_EXPORTED["attachments"])
    report = ingest(
        database,
        document(as_bytes(export([message(1), silent])), SESSION.end + SETTLE, complete=True),
        document(as_bytes(export([message(61)])), START + timedelta(minutes=5), window=inside),
    )
    reported = report.as_dict()
    assert reported.pop("seconds") == round(report.seconds, 3) > 0
    assert reported == {
        "session_id": "monza",
        "start": START.isoformat(),
        "end": inside.end.isoformat(),
        "received": 3,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "stale": 0,
        "skipped": {"media_only": 1},
        "cut": 0,
        "coverage": [
            {"channel_id": str(CHANNEL_ID), "low": str(SESSION.low), "high": str(SESSION.high)},
        ],
        "correlation_id": "journey",
    }
    assert [tally.received for tally in report.tallies] == [2, 1]


def test_progress_is_reported_after_every_batch_of_a_document(database: Database) -> None:
    """How many messages were read so far, in all documents."""
    reported: list[int] = []
    raw = as_bytes(export([message(index) for index in range(3)]))
    ingest_documents(
        database,
        [document(raw), document(as_bytes(export([message(9)])))],
        correlation_id="journey",
        settle=SETTLE,
        progress=reported.append,
    )
    assert reported == [3, 4]


def test_what_is_derived_and_done_after_knows_the_rows(database: Database) -> None:
    """Both in the transaction of the rows, when they are there; nothing is derived of what was there."""
    found: list[tuple[str, int]] = []

    def after_merge(connection: Connection) -> list[Event]:
        found.append(("after merge", table_summary(connection)["rows"]))
        return [Event(EventType.BOT_READY, "journey", "bot", START)]

    def on_rows_merged(connection: Connection, ids: Sequence[int]) -> None:
        found.append((str(len(ids)), table_summary(connection)["rows"]))

    for messages in ([message(1), message(2)], [message(1), message(2)], []):
        ingest_documents(
            database,
            [document(as_bytes(export(messages)))],
            correlation_id="journey",
            settle=SETTLE,
            after_merge=after_merge,
            on_rows_merged=on_rows_merged,
        )
    after = ("after merge", 2)
    assert found == [("2", 2), after, ("0", 2), after, after]
    with database.read() as connection:
        types = [event.event_type for event in events_of_journey(connection, "journey")]
    assert types.count(EventType.BOT_READY) == 3


def test_nothing_at_all_is_a_report_of_nothing(database: Database) -> None:
    """No documents, no rows, no failure."""
    assert ingest(database).received == 0


def tables(source: Any) -> pa.Table:
    """Read a document whole."""
    return pa.concat_tables(source.batches(Tally()))


def test_a_stored_document_is_the_document_it_was_made_of(tmp_path: Path) -> None:
    """Rows, tally, bounds and provenance survive the Parquet file."""
    raw = (REAL / "general-2023.json").read_bytes()
    original = document(raw, window=None, complete=True)
    store = NormalizedStore(str(tmp_path))
    stored = store.save(original, "monza", "T+000m")
    tally, again = Tally(), Tally()
    assert tables(stored) == pa.concat_tables(original.batches(tally))
    list(stored.batches(again))
    assert tally == again == stored.tally
    assert (stored.window, stored.complete, stored.provenance) == (None, True, original.provenance)
    frame = store.frame("monza", ["T+000m"])
    assert (len(frame), tally.rows) == (32, 35)
    assert frame["posted_at"].is_monotonic_increasing
    assert str(frame["discord_id"].dtype) == "Int64"


def test_a_damaged_document_keeps_the_stored_one(tmp_path: Path) -> None:
    """The file is replaced whole or not at all."""
    store = NormalizedStore(str(tmp_path))
    store.save(document(as_bytes(export([message(1, "good")]))), "monza", "T+000m")
    with pytest.raises(BadInput):
        store.save(document(as_bytes(export([message(1, "bad")], messageCount=2))), "monza", "T+000m")
    assert store.frame("monza", ["T+000m"])["raw_content"].tolist() == ["good"]
    assert len(list(tmp_path.rglob("*.*"))) == 1


GATEWAY_FRAME = {
    "op": 0,
    "s": 7,
    "t": "MESSAGE_CREATE",
    "d": {
        "id": str(first_id_at(START + timedelta(seconds=5)) + 1),
        "channel_id": str(CHANNEL_ID),
        "guild_id": "821079772408964274",
        "type": 19,
        "content": "\U0001f4fb `Leclerc` Box, box.",
        "timestamp": (START + timedelta(seconds=5)).isoformat(),
        "edited_timestamp": None,
        "pinned": False,
        "author": {"id": "594020924865620473", "username": "radio", "global_name": "Radio", "bot": True},
        "member": {"nick": "Team Radio"},
        "attachments": [
            {"id": "9", "filename": "a.mp4", "size": 12, "url": "https://cdn.discordapp.com/a.mp4?ex=1&hm=2"}
        ],
        "embeds": [
            {
                "title": "T",
                "url": "https://x.invalid",
                "type": "rich",
                "author": {"name": "A"},
                "image": {"url": "https://x.invalid/i.png", "proxy_url": "https://proxy.invalid/i.png"},
                "fields": [{"name": "n", "value": "v", "inline": True}],
            }
        ],
        "sticker_items": [{"id": "4", "name": "s", "format_type": 1}],
        "message_reference": {"message_id": "77", "channel_id": "1"},
    },
}
SAME_EXPORTED = message(
    5,
    "\U0001f4fb `Leclerc` Box, box.",
    type="Reply",
    attachments=[
        {
            "id": "9",
            "fileName": "a.mp4",
            "fileSizeBytes": 12,
            "url": "https://cdn.discordapp.com/a.mp4?ex=1&hm=2",
        }
    ],
    embeds=[
        {
            "title": "T",
            "url": "https://x.invalid",
            "timestamp": None,
            "description": "",
            "author": {"name": "A", "url": None},
            "image": {"url": "https://proxy.invalid/i.png", "canonicalUrl": "https://x.invalid/i.png"},
            "images": [],
            "fields": [{"name": "n", "value": "v", "isInline": True}],
        }
    ],
    stickers=[{"id": "4", "name": "s", "format": "png", "sourceUrl": "https://x.invalid/s"}],
    reference={"messageId": "77", "channelId": "1", "guildId": "2"},
)


def test_a_message_gives_one_row_whether_exported_or_seen_live() -> None:
    """Only where it came from differs."""
    events = interpret([Record(START, as_bytes(GATEWAY_FRAME, None))], lambda _: True)
    ((guild_id, channel_id), seen), *_ = events.messages.items()
    live = PayloadDocument(
        channel_id,
        guild_id,
        seen,
        {channel_id: ChannelPolicy()},
        Provenance(None, "gateway", START, "batch"),
        own_journeys=True,
    )
    (from_gateway,) = tables(live).to_pylist()
    (from_export,) = tables(document(as_bytes(export([SAME_EXPORTED])))).to_pylist()
    for row in (from_gateway, from_export):
        for provenance in ("source", "observed_at", "correlation_id"):
            del row[provenance]
        for told_by_one in ("author_roles", *DETAIL_COLUMNS):
            del row[told_by_one]
    assert from_gateway == from_export
