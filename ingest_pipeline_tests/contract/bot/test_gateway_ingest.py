"""From the spool into the table: each event exactly once in effect, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_pipeline.bot.gateway_ingest import SpoolBatch, SpoolReader, ingest_spooled
from ingest_pipeline.bot.ingest import SpoolIngester
from ingest_pipeline.bot.spool_landing import SpoolLanding
from ingest_pipeline.bot.watchlist import CatalogueView, Watchlist
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.events import EventType
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument
from ingest_pipeline.ingestion.ingest import ingest_documents
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.spool import Position, Spool
from ingest_pipeline.monitoring.tracing import trace
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.guilds import list_channels, save_channels
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.gateway.dirty_windows import unreported_windows
from ingest_pipeline.storage.gateway.refetch_queue import (
    WatchedChannel,
    clear_gap,
    count_pending_refetches,
    due_refetches,
    list_watched,
    watch_channels,
)
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.queries import find_message, find_tombstone
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.events import events_of_message
from ingest_pipeline.storage.runs.state import set_state
from ingest_pipeline_tests.contract.waiters import wait_for_waiting_writer
from ingest_pipeline_tests.thoroughness import examples

START = datetime(2026, 9, 6, 13, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CHANNEL, GUILD = 500, 7
MESSAGE = first_id_at(START + timedelta(minutes=6))


def payload(content: str = "Box, box.", message_id: int = MESSAGE, **changes: Any) -> dict[str, Any]:
    """Return a whole message object."""
    return {
        "id": str(message_id),
        "channel_id": str(CHANNEL),
        "guild_id": str(GUILD),
        "timestamp": (START + timedelta(minutes=6)).isoformat(),
        "edited_timestamp": None,
        "author": {"id": "5", "username": "engineer"},
        "content": content,
        "type": 0,
        "pinned": False,
        "attachments": [],
        "embeds": [],
    } | changes


def frame(kind: str, data: dict[str, Any]) -> bytes:
    """Return a gateway frame."""
    return json.dumps({"op": 0, "s": 1, "t": kind, "d": data}).encode()


def deletion(message_id: int = MESSAGE) -> bytes:
    """Return the frame of a deletion."""
    return frame(
        "MESSAGE_DELETE", {"id": str(message_id), "channel_id": str(CHANNEL), "guild_id": str(GUILD)}
    )


def wanted(channel_id: int) -> bool:
    """Return whether a channel is monitored."""
    return channel_id == CHANNEL


class Gateway:
    """A spool that is filled by hand, and the table behind it."""

    def __init__(self, services: Services) -> None:
        """Begin with an empty spool of its own."""
        self.services = services
        self.folder = services.settings.data_dir / uuid4().hex
        self.reader = SpoolReader(Spool(self.folder), uuid4().hex)
        self.position = Position()
        self.landing = self.landing_anew()
        self.now = START + timedelta(minutes=7)
        self.sessions: Sequence[Session] = ()

    def receive(self, *frames: bytes) -> None:
        """Spool frames, one each second."""
        for each in frames:
            self.now += SECOND
            self.reader.spool.append(each, self.now)
        self.reader.spool.flush()

    def landing_anew(self) -> SpoolLanding:
        """Return the way into the raw store, as a bot that starts goes on with it."""
        return SpoolLanding(self.reader.spool, self.services.raw.store, self.folder, wanted)

    def keep(self, session: Session) -> None:
        """Store a session, and watch for it."""
        self.services.database.run(lambda connection: save_sessions(connection, [session], now=self.now))
        self.sessions = [session]

    def store(self, limit: int = 100) -> SpoolBatch | None:
        """Process a batch."""
        batch = ingest_spooled(
            self.services,
            self.reader,
            self.position,
            is_monitored=wanted,
            sessions=self.sessions,
            limit=limit,
        )
        self.position = batch.position if batch else self.position
        return batch

    def read_again(self, data: dict[str, Any] | None) -> None:
        """Do what reading a message again does when Discord answers with this."""
        if data is None:
            return
        self.now += SECOND
        document = PayloadDocument(
            CHANNEL,
            GUILD,
            [ObservedMessage(int(data["id"]), data, self.now)],
            self.services.read_policies([CHANNEL]),
            Provenance(None, "history", self.now, "again"),
            own_journeys=True,
        )
        ingest_documents(self.services.database, [document], correlation_id="again", settle=SECOND)

    def row(self, message_id: int = MESSAGE) -> dict[str, Any] | None:
        """Return a message's row."""
        with self.services.database.read() as connection:
            return find_message(connection, message_id)


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The services."""
    return replace(build_services(settings), database=database)


@pytest.fixture
def gateway(services: Services) -> Gateway:
    """An empty spool and an empty table."""
    return Gateway(services)


def test_a_batch_and_its_position_are_one(gateway: Gateway) -> None:
    """Rows, deletions, reads to come, windows, gaps, activity: all there with the position."""
    gateway.keep(Session("race", START, START + timedelta(hours=1), (CHANNEL,)))

    def catalogue(connection: Connection) -> None:
        save_channels(connection, [Channel(CHANNEL, GUILD, "team-radio")], now=START)
        watch_channels(connection, [WatchedChannel(CHANNEL, GUILD, START)], now=START)
        clear_gap(connection, [CHANNEL], begun_at=START)

    gateway.services.database.run(catalogue)
    other, gone = MESSAGE + 1, first_id_at(START + timedelta(minutes=11))
    gateway.receive(
        frame("MESSAGE_CREATE", payload()),
        frame("MESSAGE_REACTION_ADD", {"channel_id": str(CHANNEL), "message_id": str(other)}),
        frame("MESSAGE_REACTION_ADD", {"channel_id": str(CHANNEL), "message_id": "of no message"}),
        deletion(gone),
    )
    before = gateway.position
    batch = gateway.store()
    assert batch is not None
    assert (batch.report.created, batch.events.received) == (1, 4)
    row = gateway.row()
    assert row is not None
    assert (row["session_id"], row["source"], row["correlation_id"]) == (
        "race",
        "gateway",
        f"{GUILD}-{MESSAGE}",
    )
    assert row["observed_at"] == START + timedelta(minutes=7, seconds=1)
    with gateway.services.database.read() as connection:
        assert gateway.reader.checkpoint(connection) == batch.position > before
        assert [each.message_id for each in due_refetches(connection, gateway.now + 9 * SECOND, limit=9)] == [
            other
        ]
        assert {each.window_key for each in unreported_windows(connection, "")} == {"T+005m", "T+010m"}
        assert find_tombstone(connection, gone) is not None
        assert list_watched(connection)[CHANNEL].missed_since == gateway.now
        [channel] = list_channels(connection)
        assert channel.last_message_id == MESSAGE
    assert gateway.store() is None


def test_receipts_and_deletions_are_reported_with_their_batch(gateway: Gateway) -> None:
    """Each when its frame was received, in the journey of its own message; nothing else is reported."""
    gateway.receive(frame("MESSAGE_CREATE", payload()), deletion(MESSAGE + 1))
    batch = gateway.store()
    assert batch is not None
    place = {"channel_id": str(CHANNEL), "batch": batch.report.correlation_id}
    with gateway.services.database.read() as connection:
        reported = [events_of_message(connection, each) for each in (MESSAGE, MESSAGE + 1)]
    assert [
        [(each.event_type, each.correlation_id, each.source, each.created_at, each.data) for each in events]
        for events in reported
    ] == [
        [(EventType.MESSAGE_RECEIVED, f"{GUILD}-{MESSAGE}", "gateway", gateway.now - SECOND, place)],
        [(EventType.MESSAGE_DELETED, f"{GUILD}-{MESSAGE + 1}", "gateway", gateway.now, place)],
    ]


def test_the_journey_of_a_message_leads_to_its_batch(gateway: Gateway) -> None:
    """By its id and by its own correlation id; a message that is no row has been received only."""
    gateway.receive(frame("MESSAGE_CREATE", payload()), frame("MESSAGE_CREATE", payload("", MESSAGE + 1)))
    batch = gateway.store()
    assert batch is not None
    with gateway.services.database.read() as connection:
        by_id = trace(connection, str(MESSAGE))
        by_journey = trace(connection, f"{GUILD}-{MESSAGE}")
        unstored = trace(connection, str(MESSAGE + 1))
    assert by_id.stages == by_journey.stages
    assert (by_id.status, unstored.status) == ("stored", "received")
    assert set(by_id.correlation_ids) == {f"{GUILD}-{MESSAGE}", batch.report.correlation_id}
    assert by_id.completed_stages == [
        "posted",
        "discord.message.received",
        "read",
        "ingestion.started",
        "stored",
        "ingestion.completed",
    ]


def test_a_batch_shows_when_its_events_were_received_and_committed(gateway: Gateway) -> None:
    """In their order; at most so many events, and the rest the next time."""
    began = datetime.now(UTC)
    gateway.receive(*(frame("MESSAGE_CREATE", payload(message_id=MESSAGE + each)) for each in range(3)))
    batch, rest = gateway.store(limit=2), gateway.store(limit=2)
    assert batch is not None
    assert rest is not None
    received = [gateway.now - 2 * SECOND, gateway.now - SECOND, gateway.now]
    assert [*batch.received_at, *rest.received_at] == received
    assert (batch.report.created, rest.report.created) == (2, 1)
    assert began <= batch.committed_at <= rest.committed_at <= datetime.now(UTC)


def test_a_message_is_read_again_when_nothing_came_about_it_for_two_seconds(gateway: Gateway) -> None:
    """Counted from the last event of the batch."""
    gateway.receive(frame("MESSAGE_REACTION_ADD", {"channel_id": str(CHANNEL), "message_id": str(MESSAGE)}))
    gateway.store()
    with gateway.services.database.read() as connection:
        assert due_refetches(connection, gateway.now + 1.9 * SECOND, limit=9) == []
        assert len(due_refetches(connection, gateway.now + 2 * SECOND, limit=9)) == 1


def test_the_windows_of_a_threads_message_are_its_parents_sessions(gateway: Gateway) -> None:
    """The session takes the parent's channel; the catalogue knows of which thread it is."""
    parent = CHANNEL - 1
    gateway.keep(Session("race", START, START + timedelta(hours=1), (parent,)))
    thread = Channel(CHANNEL, GUILD, "strategy", "public_thread", parent_id=parent)
    gateway.services.database.run(lambda connection: save_channels(connection, [thread], now=START))
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    assert gateway.store() is not None
    row = gateway.row()
    assert row is not None
    assert row["session_id"] == "race"
    with gateway.services.database.read() as connection:
        assert {each.window_key for each in unreported_windows(connection, "")} == {"T+005m"}


def test_a_batch_repeated_after_a_crash_changes_nothing(gateway: Gateway) -> None:
    """The position in memory may be older than what is in the table."""
    gateway.receive(
        frame("MESSAGE_CREATE", payload()),
        frame("MESSAGE_UPDATE", payload("edited", edited_timestamp=(START + 400 * SECOND).isoformat())),
        deletion(MESSAGE + 1),
    )
    gateway.store()
    first = gateway.row()
    gateway.position = Position()
    batch = gateway.store()
    assert batch is not None
    assert (batch.report.created, batch.report.updated) == (0, 0)
    assert gateway.row() == first


def test_a_creation_is_no_news_of_a_message_that_is_known(gateway: Gateway) -> None:
    """It comes late or twice: what was read meanwhile is newer, whatever the clock says."""
    gateway.read_again(payload(reactions=[{"emoji": {"id": None, "name": "🔥"}, "count": 2}], pinned=True))
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    gateway.store()
    row = gateway.row()
    assert row is not None
    assert (row["reaction_count"], row["is_pinned"]) == (2, True)


def test_a_creation_waits_for_a_reading_of_its_message(gateway: Gateway) -> None:
    """One that is being merged by another process at the time; then the message is known."""
    read = payload(reactions=[{"emoji": {"id": None, "name": "🔥"}, "count": 2}])
    document = PayloadDocument(
        CHANNEL,
        GUILD,
        [ObservedMessage(MESSAGE, read, gateway.now)],
        gateway.services.read_policies([CHANNEL]),
        Provenance(None, "history", gateway.now, "reading"),
        own_journeys=True,
    )
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    with ThreadPoolExecutor(1) as pool:
        with gateway.services.database.write() as connection:
            for rows in document.batches(Tally()):
                merge_messages(connection, rows, now=gateway.now)
            storing = pool.submit(gateway.store)
            wait_for_waiting_writer(gateway.services.database)
        storing.result(timeout=60)
    row = gateway.row()
    assert row is not None
    assert row["reaction_count"] == 2


def test_an_edit_and_a_late_creation_in_one_batch(gateway: Gateway) -> None:
    """The creation is left out there, too."""
    edited = payload("edited", edited_timestamp=(START + 400 * SECOND).isoformat(), pinned=True)
    gateway.receive(frame("MESSAGE_UPDATE", edited), frame("MESSAGE_CREATE", payload()))
    batch = gateway.store()
    assert batch is not None
    assert batch.report.received == 1
    row = gateway.row()
    assert row is not None
    assert (row["raw_content"], row["is_pinned"]) == ("edited", True)


def test_a_message_that_comes_after_its_deletion_is_deleted(gateway: Gateway) -> None:
    """In another batch and in the same one."""
    gateway.receive(deletion())
    gateway.store()
    gateway.receive(
        frame("MESSAGE_CREATE", payload()),
        deletion(MESSAGE + 1),
        frame("MESSAGE_CREATE", payload("b", MESSAGE + 1)),
    )
    gateway.store()
    for message_id in (MESSAGE, MESSAGE + 1):
        row = gateway.row(message_id)
        assert row is not None
        assert row["deleted_at"] is not None


def test_other_channels_are_left_out(gateway: Gateway) -> None:
    """And counted."""
    gateway.receive(frame("MESSAGE_CREATE", payload() | {"channel_id": "501"}), b"not JSON", b"{}")
    batch = gateway.store()
    assert batch is not None
    assert batch.events.skipped == {"not_monitored": 1, "malformed": 2}
    assert gateway.row() is None


def test_an_event_that_cannot_be_taken_is_set_aside_and_the_others_are_not(
    make_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One event must not keep all that follow from the table; a fault of all events keeps them all."""
    settings = make_settings("postgres")
    services = build_services(settings)
    gateway = Gateway(services)
    watchlist = Watchlist()
    watchlist.replace(CatalogueView(sessions=(Session("race", START, START + SECOND, (CHANNEL,)),)))
    ingester = SpoolIngester(services, gateway.reader, gateway.folder, watchlist)
    # PostgreSQL cannot store NUL, which a message's type is not cleaned of.
    poison = frame("MESSAGE_CREATE", payload("poison", MESSAGE + 1, type="\x00"))
    gateway.receive(
        frame("MESSAGE_CREATE", payload("first")),
        poison,
        frame("MESSAGE_CREATE", payload("last", MESSAGE + 2)),
    )
    for _ in range(12):
        try:
            if ingester._take() is None:
                break
        except Exception:  # noqa: BLE001, S112 - what the supervisor of the parts does
            continue
    assert gateway.row() is not None
    assert gateway.row(MESSAGE + 1) is None
    assert gateway.row(MESSAGE + 2) is not None
    assert b"poison" in (gateway.folder / "refused.jsonl").read_bytes()
    assert caplog.text.count("was set aside") == 1
    services.database.close()


def test_the_position_belongs_to_the_spool(gateway: Gateway, tmp_path: Path) -> None:
    """A spool that was deleted starts again, and another machine's is another one."""
    gateway.receive(frame("MESSAGE_CREATE", payload()))
    gateway.store()
    fresh = SpoolReader(Spool(tmp_path / "fresh"), "another")
    with gateway.services.database.read() as connection:
        assert fresh.checkpoint(connection) == Position()
    # What an earlier version noted.
    gateway.services.database.run(lambda c: set_state(c, "gateway_checkpoint:another", "3:120"))
    with gateway.services.database.read() as connection:
        assert fresh.checkpoint(connection) == Position(3, 120)


_EDITS = [
    frame("MESSAGE_UPDATE", payload(f"edit {n}", edited_timestamp=(START + (400 + n) * SECOND).isoformat()))
    for n in range(3)
]
_CREATION = frame("MESSAGE_CREATE", payload())
_PREVIEW = frame("MESSAGE_UPDATE", payload(embeds=[{"title": "Preview"}]))
_FINAL = payload(
    "edit 2",
    edited_timestamp=(START + 402 * SECOND).isoformat(),
    embeds=[{"title": "Preview"}],
    reactions=[{"emoji": {"id": None, "name": "🔥"}, "count": 1}],
)
_SPOOLS = st.lists(st.sampled_from([_CREATION, _PREVIEW, *_EDITS]), min_size=1, max_size=8)


def _batches(frames: list[bytes], cuts: list[bool]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for each, cut in zip(frames, cuts, strict=False):
        batch.append(each)
        if cut:
            yield batch
            batch = []
    yield batch


@pytest.mark.slow
@hypothesis_settings(max_examples=examples(5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=_SPOOLS, cuts=st.lists(st.booleans(), min_size=8, max_size=8), deleted=st.booleans())
def test_any_events_in_any_order_end_in_what_discord_has(
    services: Services, frames: list[bytes], cuts: list[bool], *, deleted: bool
) -> None:
    """However often and in whatever order they come, and whichever of them get lost."""
    gateway = Gateway(services)
    message_id = first_id_at(START) + uuid4().int % 2**40
    own = [each.replace(str(MESSAGE).encode(), str(message_id).encode()) for each in frames]
    for batch in _batches(own, cuts):
        gateway.receive(*batch)
        gateway.store()
    with services.database.read() as connection:
        is_waiting = count_pending_refetches(connection) > 0
    if is_waiting or not any(b"MESSAGE_CREATE" in each for each in own):
        gateway.read_again(_FINAL | {"id": str(message_id)})
        # A creation that comes later still changes nothing.
        gateway.receive(
            own[0] if b"MESSAGE_CREATE" in own[0] else _CREATION.replace(b"%d" % MESSAGE, b"%d" % message_id)
        )
        gateway.store()
    if deleted:
        gateway.receive(deletion(message_id))
        gateway.store()
    row = gateway.row(message_id)
    assert row is not None
    if is_waiting:
        assert (row["raw_content"], row["embed_count"], row["reaction_count"]) == ("edit 2", 1, 1)
    assert (row["deleted_at"] is not None) == deleted
