"""Events, journeys and install intents, on both engines."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput, NothingFound
from ingest_pipeline.events import Event, EventChannel, EventType, dagster_run_id
from ingest_pipeline.ingestion.batch_events import failures_recorded, message_event
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.monitoring.figures import look_up_figures
from ingest_pipeline.monitoring.tracing import trace
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.catalogue.install_intents import (
    count_purgeable_intents,
    create_intent,
    expire_intent,
    find_intent,
    purge_intents,
    use_intent,
)
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.coverage import LastVerification, note_verification
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.queries import MessageFilter, search_messages
from ingest_pipeline.storage.runs.events import (
    count_events,
    events_of_journey,
    events_of_message,
    forget_events,
    ingested_totals,
    latest_events,
    publish,
    seconds_to_setup,
)
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun, queue_run
from ingest_pipeline_tests.api_worlds import NOW, RUN_ID, fill, ingest_export
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, message

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def services(settings: Settings) -> Any:
    """The working parts on an empty database, once for each engine."""
    built = build_services(settings)
    yield built
    built.database.close()


def event_types(database: Database, correlation_id: str) -> list[str]:
    """Return the types of a journey's events in order."""
    with database.read() as connection:
        return [event.event_type.value for event in events_of_journey(connection, correlation_id)]


def test_an_event_is_read_as_it_was_written(database: Database) -> None:
    """All of it, also what is empty and what is not ASCII."""
    full = Event(
        EventType.MESSAGE_RECEIVED, "1-2", "gateway", NOW, 2, "race", RUN_ID, {"text": "é\n'", "n": [1, None]}
    )
    bare = Event(EventType.SYSTEM_ERROR, "other", "bot", NOW + SECOND)
    database.run(lambda connection: publish(connection, [full, bare]))
    with database.read() as connection:
        assert events_of_journey(connection, "1-2") == [full]
        assert events_of_message(connection, 2) == [full]
        assert latest_events(connection) == [bare, full]
        assert latest_events(connection, channel=EventChannel.MESSAGE) == [full]
        assert latest_events(connection, limit=1) == [bare]


def test_an_event_undone_with_its_transaction_never_happened(database: Database) -> None:
    """It is written with what it is about."""

    def undone(connection: Connection) -> None:
        publish(connection, [Event(EventType.BOT_READY, "x", "bot", NOW)])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.run(undone)
    with database.read() as connection:
        assert latest_events(connection) == []


def test_a_batch_reports_its_start_and_its_end_and_never_each_message(services: Services) -> None:
    """Two events for six messages, with the counts and the Dagster run."""
    report = fill(services)
    with services.database.read() as connection:
        started, completed = latest_events(connection)[::-1]
    assert (started.event_type, completed.event_type) == (
        EventType.INGESTION_STARTED,
        EventType.INGESTION_COMPLETED,
    )
    assert {started.correlation_id, completed.correlation_id} == {report.correlation_id}
    assert (completed.run_id, completed.session_id, completed.source) == (RUN_ID, "race", "export")
    assert (completed.data["received"], completed.data["created"]) == (report.received, report.created)
    assert timedelta(0) < completed.created_at - started.created_at <= report.seconds * SECOND


def test_a_batch_that_fails_reports_it_though_it_is_undone(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """In the table and, as a warning, in the log; once, however many callers the error passes."""
    window = Window(START, START + timedelta(minutes=5))
    with (
        caplog.at_level(logging.INFO, "ingest_pipeline.events"),
        pytest.raises(BadInput),
        failures_recorded(services.database, "broken", "export"),
    ):
        ingest_export(
            services, [message(1)], window=window, read_at=NOW, correlation_id="broken", is_cut=True
        )
    assert event_types(services.database, "broken") == ["ingestion.started", "ingestion.failed"]
    with services.database.read() as connection:
        failed = events_of_journey(connection, "broken")[1]
        assert trace(connection, "broken").status == "failed"
    assert failed.data["error"] in {"ExportTruncated", "ExportMalformed"}
    logged = [json.loads(record.message) for record in caplog.records if record.levelname == "WARNING"]
    assert [line["event_type"] for line in logged] == ["ingestion.failed"]


def test_a_logged_event_is_one_line_of_json(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """The same as in the table, once the transaction is committed."""
    with caplog.at_level(logging.INFO, "ingest_pipeline.events"):
        fill(services)
    lines = [json.loads(record.message) for record in caplog.records if "events" in record.name]
    with services.database.read() as connection:
        stored = [event.as_dict() for event in events_of_journey(connection, RUN_ID)]
    assert lines == stored
    assert all("\n" not in record.message for record in caplog.records)


def test_forgotten_events_stay_in_the_totals(services: Services) -> None:
    """However often events are forgotten; a counter never goes back."""
    fill(services)
    with services.database.read() as connection:
        before = ingested_totals(connection)
        assert count_events(connection, LATER) == 2
    assert ("export", "created", 6) in before
    assert services.database.run(lambda connection: forget_events(connection, LATER)) == 2
    assert services.database.run(lambda connection: forget_events(connection, LATER)) == 0
    fill(services)
    assert services.database.run(lambda connection: forget_events(connection, LATER)) == 2
    with services.database.read() as connection:
        after = {(source, result): total for source, result, total in ingested_totals(connection)}
        assert latest_events(connection) == []
    assert (after["export", "created"], after["export", "unchanged"]) == (6, 6)


def test_batches_that_failed_stay_counted(services: Services) -> None:
    """Also when their events are forgotten, and apart from messages."""
    window = Window(START, START + timedelta(minutes=5))
    for number in range(2):
        with pytest.raises(BadInput):
            ingest_export(
                services, [message(1)], window=window, read_at=NOW, correlation_id=str(number), is_cut=True
            )
        with services.database.read() as connection:
            assert ("export", "failed", number + 1) in ingested_totals(connection)
        services.database.run(lambda connection: forget_events(connection, LATER))
    figures = look_up_figures(services, NOW)
    assert figures.failed_batches == {"export": 2}
    assert "failed" not in {result for _, result, _ in figures.ingested}


def test_the_time_from_a_message_to_its_setup_is_reported(services: Services) -> None:
    """Of messages posted lately, by quantile; an old message that was read again does not count."""

    def reported(posted: Any, seconds: int) -> Event:
        message_id = first_id_at(posted)
        at = posted + seconds * SECOND
        return message_event(EventType.SETUP_CREATED, "j", message_id, channel_id=1, at=at, batch="b")

    lately, long_ago = NOW - timedelta(minutes=5), NOW - timedelta(days=2)
    events = [*(reported(lately, seconds) for seconds in (1, 2, 3)), reported(long_ago, 2 * 86_400)]
    services.database.run(lambda connection: publish(connection, events))
    with services.database.read() as connection:
        found = seconds_to_setup(connection, since=NOW - timedelta(hours=1))
        assert seconds_to_setup(connection, since=NOW) == {}
    assert found == pytest.approx({0.5: 2.0, 0.95: 2.9, 1.0: 3.0}, abs=0.01)


def test_how_the_last_verification_ended_is_kept(services: Services) -> None:
    """In place of the one before; nothing at first."""
    assert look_up_figures(services, NOW).verification is None
    for differences in (3, 0):
        ended = LastVerification(NOW, differences == 0, differences > 0, differences)
        services.database.run(lambda connection, ended=ended: note_verification(connection, ended))
        assert look_up_figures(services, NOW).verification == ended


def test_the_journey_of_an_imported_message_is_read_from_its_row(services: Services) -> None:
    """Posted, read, stored, and the batch around it, with the times between."""
    fill(services)
    with services.database.read() as connection:
        journey = trace(connection, message(20)["id"])
    assert (journey.kind, journey.status, journey.run_id) == ("message", "stored", RUN_ID)
    assert journey.completed_stages == [
        "posted",
        "ingestion.started",
        "read",
        "stored",
        "ingestion.completed",
    ]
    assert journey.stages[1].seconds == 400
    assert sum(stage.seconds for stage in journey.stages) == (
        (journey.stages[-1].at - journey.stages[0].at).total_seconds()
    )


def test_the_journey_of_an_edited_and_deleted_message_has_all_its_batches(services: Services) -> None:
    """What was superseded, the edit, and the deletion."""
    fill(services)
    edited = message(20, "`Norris` Corrected.", timestampEdited=(START + timedelta(minutes=3)).isoformat())
    window = Window(START, START + timedelta(minutes=5))
    ingest_export(services, [edited], window=window, read_at=NOW, correlation_id="second")
    message_id = int(edited["id"])
    gone = Tombstone(message_id, CHANNEL_ID, GUILD_ID, NOW + SECOND, "gateway", "1-2")
    services.database.run(lambda connection: tombstone_messages(connection, [gone]))
    with services.database.read() as connection:
        journey = trace(connection, str(message_id))
    assert journey.status == "deleted"
    assert set(journey.correlation_ids) == {RUN_ID, "second", "1-2"}
    assert {"edited", "superseded", "deleted", "ingestion.completed"} <= set(journey.completed_stages)


def test_the_journey_of_a_history_import_has_its_scans(services: Services) -> None:
    """It has started as long as one of them waits."""
    run = ScanRun("s", GUILD_ID, CHANNEL_ID, RunKind.IMPORT, 0, "import-1", NOW)
    services.database.run(lambda connection: queue_run(connection, run))
    with services.database.read() as connection:
        journey = trace(connection, "import-1")
    assert (journey.status, journey.completed_stages) == ("started", ["scan.queued"])


@pytest.mark.parametrize("identifier", ["", "5", "none", "1-5", "x" * 10_000])
def test_what_nothing_is_known_of_is_not_found(services: Services, identifier: str) -> None:
    """With a hint what to give."""
    with services.database.read() as connection, pytest.raises(NothingFound):
        trace(connection, identifier)


def test_only_a_uuid_with_hyphens_is_a_dagster_run() -> None:
    """Other journeys have other ids."""
    assert dagster_run_id(RUN_ID) == RUN_ID
    for other in (RUN_ID.replace("-", ""), RUN_ID.upper(), "1-2", ""):
        assert dagster_run_id(other) is None


def test_text_is_found_as_it_is_written(services: Services) -> None:
    """Whatever the case of its letters; no character is a pattern."""
    fill(services)
    with services.database.read() as connection:

        def found(text: str) -> int:
            return len(search_messages(connection, MessageFilter(text=text)))

        assert [found(text) for text in ("lap", "LAP 2", "l_p", "%", "`hamilton`")] == [6, 1, 0, 0, 1]


def test_a_state_is_good_once_and_only_in_time(database: Database) -> None:
    """What is used or expired stays what it is."""
    lifetime = timedelta(minutes=10)
    intent, state = database.run(lambda c: create_intent(c, guild_id=5, lifetime=lifetime, now=NOW))
    late, late_state = database.run(lambda c: create_intent(c, guild_id=None, lifetime=lifetime, now=NOW))
    assert database.run(lambda c: use_intent(c, "wrong", now=NOW)) is None
    used = database.run(lambda c: use_intent(c, state, now=NOW + SECOND))
    assert used is not None
    assert (used[0].intent_id, used[0].used_at, used[1]) == (intent.intent_id, NOW + SECOND, True)
    again = database.run(lambda c: use_intent(c, state, now=NOW + 2 * SECOND))
    assert again is not None
    assert (again[0].status(NOW), again[1]) == ("used", False)
    missed = database.run(lambda c: use_intent(c, late_state, now=NOW + lifetime))
    assert missed is not None
    assert (missed[0].status(NOW + lifetime), missed[1]) == ("expired", False)
    with database.read() as connection:
        assert find_intent(connection, late.intent_id) == late
        assert find_intent(connection, "none") is None


def test_an_intent_can_be_ended_and_old_ones_are_purged(database: Database) -> None:
    """After the grace period, not before."""
    lifetime, grace = timedelta(minutes=10), timedelta(seconds=300)
    intent, state = database.run(lambda c: create_intent(c, guild_id=None, lifetime=lifetime, now=NOW))
    ended = database.run(lambda c: expire_intent(c, intent.intent_id, now=NOW + SECOND))
    assert ended is not None
    assert ended.status(NOW + SECOND) == "expired"
    assert database.run(lambda c: use_intent(c, state, now=NOW + SECOND)) is not None
    assert database.run(lambda c: purge_intents(c, now=NOW + SECOND + grace, grace=grace)) == 0
    after = NOW + 2 * SECOND + grace
    with database.read() as connection:
        assert count_purgeable_intents(connection, now=after, grace=grace) == 1
    assert database.run(lambda c: purge_intents(c, now=after, grace=grace)) == 1
