"""Overlapping exports of a channel that changes: any order and any repetition give the same tables.

What `test_merge_order.py` shows for single readings is shown here for whole documents, from the
exporter's bytes to rows and proofs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.demo.document import ExportWriter
from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.ingest import ingest_documents
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.storage.engine.database import Connection, Database, Result
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline_tests.contract.readings import stored_messages, stored_revisions, stored_skipped
from ingest_pipeline_tests.thoroughness import examples

START = datetime(2026, 5, 3, 13, 0, tzinfo=UTC)
CHANNEL_ID = 1_101_802_452_224_856_174
SETTLE = timedelta(seconds=30)
MINUTES = 3


@dataclass(frozen=True)
class Reading:
    """An export of a range of the channel, read at a time; minutes after `START`.

    With `deletions`, the deletions that had happened by then are reported as well, as the gateway does;
    `keep_media_only` is the channel's policy at that time.
    """

    seed: int
    read: float
    first: float
    last: float
    deletions: bool
    keep_media_only: bool

    @property
    def read_at(self) -> datetime:
        """When it was read."""
        return START + timedelta(minutes=self.read)

    @property
    def scene(self) -> Scene:
        """What happens in the channel."""
        return Scene(START, self.seed, MINUTES, CHANNEL_ID)

    @property
    def window(self) -> Window:
        """Which range it is of."""
        return Window(START + timedelta(minutes=self.first), START + timedelta(minutes=self.last))

    def document(self) -> ExportDocument:
        """Return what the exporter writes of it."""
        raw = exported(self.scene, self.read_at, self.window)
        return ExportDocument(
            opener=lambda: io.BytesIO(raw),
            name="export.json",
            header=read_header(io.BytesIO(raw), "export.json"),
            policy=ChannelPolicy(keep_media_only=self.keep_media_only),
            window=self.window,
            complete=True,
            provenance=Provenance(None, "export", self.read_at, f"reading at {self.read}"),
        )

    def tombstones(self) -> list[Tombstone]:
        """Return the deletions that are reported."""
        posts = self.scene.posts(0, Window(START, self.read_at).high) if self.deletions else ()
        return [
            Tombstone(post.snowflake, CHANNEL_ID, None, post.deleted_at, "gateway", "deletion")
            for post in posts
            if post.deleted_at and post.deleted_at <= self.read_at
        ]


# One document is read several times in each example.
@lru_cache(maxsize=32)
def exported(scene: Scene, now: datetime, window: Window) -> bytes:
    """Return an export as the exporter writes it at a time."""
    head = {
        "guild": {"id": "1", "name": "Paddock", "iconUrl": ""},
        "channel": {"id": str(CHANNEL_ID), "type": "GuildTextChat", "name": "team-radio"},
        "dateRange": {"after": window.start, "before": window.end},
        "exportedAt": now,
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export.json"
        with ExportWriter(path, head, utc=True) as writer:
            for message in scene.messages_visible(now, low=window.low, high=window.high):
                writer.message(message)
        return path.read_bytes()


@st.composite
def readings(draw: st.DrawFn, seed: int) -> Reading:
    """Draw a reading of a range that has begun by then."""
    read = draw(st.integers(1, 20)) / 4
    first = draw(st.integers(0, min(int(read * 2) - 1, 4))) / 2 if read >= 0.5 else 0.0
    last = draw(st.integers(int(first * 2) + 1, MINUTES * 2)) / 2
    deletions, keep_media_only = draw(st.booleans()), draw(st.booleans())
    return Reading(seed, read, first, last, deletions, keep_media_only)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Reading], list[list[Reading]]]:
    """Draw readings, and some order of them with repetitions, cut into transactions."""
    seed = draw(st.integers(1, 50))
    each = draw(st.lists(readings(seed), min_size=2, max_size=5, unique_by=lambda reading: reading.read))
    again = draw(st.lists(st.sampled_from(each), max_size=3))
    order = draw(st.permutations(each + again))
    cuts = sorted(draw(st.sets(st.integers(1, max(len(order) - 1, 1)), max_size=3)))
    return each, [order[start:end] for start, end in pairwise([0, *cuts, len(order)])]


class _Undone(Exception):
    """Raised to leave a transaction without a trace."""


class _Within:
    """A database whose every transaction is part of one that is open already."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, work: Callable[[Connection], Result]) -> Result:
        return work(self._connection)


@contextmanager
def trial(database: Database) -> Iterator[Connection]:
    """Open a transaction that leaves nothing behind."""
    with suppress(_Undone), database.write() as connection:
        yield connection
        raise _Undone


def ingest(connection: Connection, batch: Sequence[Reading], batch_rows: int) -> None:
    """Import some readings and the deletions reported with them."""
    gone = [tombstone for reading in batch for tombstone in reading.tombstones()]

    def before_merge(within: Connection) -> None:
        tombstone_messages(within, gone)

    report = ingest_documents(
        _Within(connection),  # type: ignore[arg-type]
        [reading.document() for reading in batch],
        correlation_id="batch",
        settle=SETTLE,
        batch_rows=batch_rows,
        before_merge=before_merge,
    )
    merged = report.created + report.updated + report.unchanged + report.stale
    assert report.received == merged + sum(report.skipped.values())


def stored(connection: Connection) -> dict[str, Any]:
    """Return everything that must not depend on order and repetition."""
    proven: list[tuple[int, int]] = []
    for proof in proofs(connection, CHANNEL_ID):
        if proven and proof.low <= proven[-1][1]:
            first, reached = proven.pop()
            proven.append((first, max(reached, proof.high)))
        else:
            proven.append((proof.low, proof.high))
    return {
        "messages": stored_messages(connection),
        "revisions": stored_revisions(connection),
        "skipped": stored_skipped(connection),
        "proven": proven,
    }


@pytest.mark.slow
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), batch_rows=st.sampled_from([3, 20_000]))
def test_overlapping_exports_in_any_order_give_the_same_tables(
    database: Database, history: tuple[list[Reading], list[list[Reading]]], batch_rows: int
) -> None:
    """With edits, previews, reactions and deletions between them, whatever session and policy they are of."""
    each, batches = history
    with trial(database) as connection:
        for reading in sorted(each, key=lambda reading: reading.read):
            ingest(connection, [reading], 20_000)
        expected = stored(connection)
    with trial(database) as connection:
        for batch in batches:
            ingest(connection, batch, batch_rows)
        assert stored(connection) == expected
    newest: dict[int, str] = {}
    for reading in sorted(each, key=lambda reading: reading.read):
        truth = reading.scene.truth(reading.read_at)
        newest |= {
            discord_id: content
            for discord_id, content in truth.visible.items()
            if created_at(discord_id) in reading.window
        }
    contents = {row["discord_id"]: row["raw_content"] for row in expected["messages"] + expected["skipped"]}
    assert contents == newest
