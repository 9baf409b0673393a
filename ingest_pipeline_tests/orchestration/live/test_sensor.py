"""The live sensor on a real instance, a real exporter process and a real database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from ingest_pipeline.api.routes.operations.status import ReadingModel
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.monitoring.status import look_up_status
from ingest_pipeline.orchestration.build import build_definitions
from ingest_pipeline.orchestration.live.sensors import new_outcomes, recent_live_runs, run_in_progress
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START, SESSION_PARTITIONS
from ingest_pipeline.storage.messages.sessions import list_sessions, remove_session, save_sessions
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    Deployment,
    deploy,
    every_minute,
    message,
    session,
)

LIVE_TAGS = {"ingest/trigger": "live", "ingest/session": "monza"}


def now() -> datetime:
    """Return the present to the millisecond, as ids have it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def ago(minutes: float) -> datetime:
    """Return a time in the past."""
    return now() - timedelta(minutes=minutes)


def request_of(result: dg.SensorResult) -> dg.RunRequest:
    """Return the one run that a tick asks for."""
    (request,) = result.run_requests or []
    return request


def reason_of(result: dg.SensorResult) -> str:
    """Return why a tick asks for nothing."""
    assert not result.run_requests
    assert isinstance(result.skip_reason, dg.SkipReason)
    assert result.skip_reason.skip_message
    return result.skip_reason.skip_message


def store(deployment: Deployment, *sessions: Session) -> None:
    """Store sessions without registering them with Dagster."""
    with deployment.services.database.write() as connection:
        save_sessions(connection, sessions, now=now())


def a_run(
    deployment: Deployment, status: dg.DagsterRunStatus, tags: Mapping[str, str] = LIVE_TAGS
) -> dg.DagsterRun:
    """Record a run of the ingest job in a state."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("code"), "definitions")
    return deployment.instance.create_run_for_job(
        deployment.definitions.resolve_job_def("ingest_job"),
        tags=tags,
        status=status,
        remote_job_origin=RemoteJobOrigin(repository, "ingest_job"),
    )


def test_a_live_session_is_read_and_then_only_its_present(deployment: Deployment) -> None:
    """The first tick asks for all since the start, the next for what came since."""
    start = ago(12)
    store(deployment, session(start=start, minutes=60))
    deployment.post(*every_minute(start, 12))
    first = deployment.tick()
    request = request_of(first)
    assert request.run_key is None
    assert request.tags["ingest/session"] == "monza"
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("monza|T+000m", "monza|T+010m")
    assert deployment.instance.get_dynamic_partitions(SESSION_PARTITIONS) == ["monza"]
    assert deployment.perform(request).success
    assert len(deployment.stored()) == 12
    assert len(deployment.exporter_calls()) == 1

    deployment.post(message(now() - timedelta(seconds=1), low_bits=9))
    request = request_of(deployment.tick(first.cursor))
    assert request.partition_key == "monza|T+010m"
    assert deployment.perform(request).success
    assert len(deployment.stored()) == 13


def test_windows_are_checked_when_they_are_over(deployment: Deployment) -> None:
    """A poll of the present window alone has no checks; one that reads a window to its end has all."""
    store(deployment, session(start=ago(2), minutes=60))
    present = request_of(deployment.tick())
    assert present.asset_check_keys == []
    job = deployment.definitions.resolve_job_def("ingest_job")
    assert set(present.asset_selection or ()) == set(job.asset_layer.executable_asset_keys)
    store(deployment, session(start=ago(7), minutes=60))
    closing = request_of(deployment.tick())
    assert (closing.asset_selection, closing.asset_check_keys) == (None, None)


def test_a_session_that_ended_is_swept_until_it_is_complete(deployment: Deployment) -> None:
    """Its end is read once more after it has settled; then the sensor is idle."""
    start = ago(20)
    store(deployment, session(start=start, minutes=12))
    deployment.post(*every_minute(start, 12))
    assert deployment.perform(request_of(deployment.tick())).success
    assert len(deployment.stored()) == 12
    assert reason_of(deployment.tick()).startswith("no session is live and none is coming")


def test_an_idle_tick_names_the_next_session_and_still_follows_the_file(deployment: Deployment) -> None:
    """A session written to the file is a partition within a tick."""
    file = deployment.settings.sessions_file
    file.parent.mkdir(parents=True)
    start = now() + timedelta(days=3, hours=2, minutes=1)
    end = start + timedelta(hours=2)
    file.write_text(
        "sessions:\n"
        f"  - {{session_id: baku, start_time: '{start.isoformat()}', end_time: '{end.isoformat()}'}}\n"
    )
    result = deployment.tick()
    assert reason_of(result).startswith("no session is live; the next is baku at ")
    assert reason_of(result).endswith("in 3 d 2 h")
    assert deployment.instance.get_dynamic_partitions(SESSION_PARTITIONS) == ["baku"]
    assert deployment.tick().dynamic_partitions_requests == []


def test_a_removed_session_is_no_partition_any_more(deployment: Deployment) -> None:
    """Within a tick."""
    deployment.add_sessions(session("baku"), session("monza"))
    with deployment.services.database.write() as connection:
        remove_session(connection, "baku")
    deployment.tick()
    assert deployment.instance.get_dynamic_partitions(SESSION_PARTITIONS) == ["monza"]


def test_a_file_with_a_mistake_leaves_the_sessions_in_force(deployment: Deployment) -> None:
    """The live session is read all the same, and the mistake is said."""
    store(deployment, session("ended", ago(3000)))
    file = deployment.settings.sessions_file
    file.write_text("sessions:\n  - {session_id: monza, start_time: '2026-03-01T14:00:00'}\n")
    reason = reason_of(deployment.tick())
    assert reason.startswith("no session is live")
    assert "the sessions were not updated: " in reason
    assert "monza" in reason
    store(deployment, session("live", ago(1), minutes=60))
    assert request_of(deployment.tick()).partition_key == "live|T+000m"
    with deployment.services.database.read() as connection:
        assert [each.session_id for each in list_sessions(connection)] == ["ended", "live"]


def test_several_live_sessions_are_reported_in_the_runs_tags(deployment: Deployment) -> None:
    """The first to start is read."""
    store(deployment, session("monza", ago(4), 60), session("baku", ago(2), 60))
    request = request_of(deployment.tick())
    assert request.partition_key == "monza|T+000m"
    assert request.tags["ingest/also_live"] == "baku"


@pytest.mark.parametrize(
    "status",
    [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED],
)
def test_a_live_run_in_progress_is_waited_for(deployment: Deployment, status: dg.DagsterRunStatus) -> None:
    """Whether it waits in the queue or works."""
    store(deployment, session(start=ago(2), minutes=60))
    run = a_run(deployment, status)
    assert reason_of(deployment.tick()) == f"run {run.run_id} is still reading"


def test_a_backfill_is_not_waited_for(deployment: Deployment) -> None:
    """Only runs of the sensor's own count."""
    store(deployment, session(start=ago(2), minutes=60))
    a_run(deployment, dg.DagsterRunStatus.STARTED, {})
    assert request_of(deployment.tick())


def test_a_run_whose_process_was_killed_is_not_waited_for_for_ever(deployment: Deployment) -> None:
    """Past its own time limit it does not count; in the queue it counts always."""
    run = a_run(deployment, dg.DagsterRunStatus.STARTED, {**LIVE_TAGS, "dagster/max_runtime": "600"})
    runs = recent_live_runs(deployment.instance)
    assert run_in_progress(runs, now() + timedelta(seconds=600)) == run.run_id
    assert run_in_progress(runs, now() + timedelta(seconds=700)) is None
    waiting = a_run(deployment, dg.DagsterRunStatus.QUEUED)
    later = now() + timedelta(days=1)
    assert run_in_progress(recent_live_runs(deployment.instance), later) == waiting.run_id


def test_repeated_failure_pauses_and_success_resets(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Two failed runs in a row make the third tick wait, and say why; after it, one success forgets them."""
    deployment = deploy(tmp_path, instance, POLL_INTERVAL_SECONDS=20)
    store(deployment, session(start=ago(2), minutes=60))
    deployment.post(message(ago(1)))
    deployment.fault("forbidden-channel")
    cursor = None
    for _ in range(2):
        result = deployment.tick(cursor)
        cursor = result.cursor
        assert not deployment.perform(request_of(result)).success
    reason = reason_of(deployment.tick(cursor))
    assert reason.startswith("session monza waits ")
    assert " more after 2 failed runs in a row: " in reason
    assert "permissions View Channel" in reason

    deployment.fault("")
    eager = deploy_again(deployment, POLL_INTERVAL_SECONDS=1, max_backoff_seconds=1)
    cursor = deployment.tick(cursor).cursor
    assert cursor is not None
    aged = cursor.replace(f"{datetime.now(UTC):%Y-}", "2020-")
    assert eager.perform(request_of(eager.tick(aged))).success
    assert '"failing": {}' in str(eager.tick(aged).cursor)


def deploy_again(deployment: Deployment, **changes: object) -> Deployment:
    """Return the same deployment with other settings."""
    settings = deployment.settings.model_copy(update={key.lower(): value for key, value in changes.items()})
    return Deployment(
        deployment.folder,
        settings,
        build_services(settings),
        build_definitions(settings),
        deployment.instance,
    )


def test_a_cancelled_run_is_neither_failure_nor_success(deployment: Deployment) -> None:
    """Somebody stopped it: that says nothing about the session."""
    run = a_run(deployment, dg.DagsterRunStatus.STARTED)
    deployment.instance.report_run_canceled(run)
    assert new_outcomes(deployment.instance, recent_live_runs(deployment.instance), None) == []


def test_a_run_that_died_without_a_word_counts_as_failed(deployment: Deployment) -> None:
    """What Dagster says of it stands in for its error."""
    run = a_run(deployment, dg.DagsterRunStatus.STARTED)
    deployment.instance.report_run_failed(run, "The run's process is gone.")
    (outcome,) = new_outcomes(deployment.instance, recent_live_runs(deployment.instance), None)
    assert (outcome.session_id, outcome.error) == ("monza", "The run's process is gone.")
    assert new_outcomes(deployment.instance, recent_live_runs(deployment.instance), run.run_id) == []


def test_a_cursor_somebody_broke_is_survived(deployment: Deployment) -> None:
    """And replaced by a good one."""
    store(deployment, session(start=ago(2), minutes=60))
    result = deployment.tick("{not json")
    assert request_of(result)
    assert result.cursor == '{"failing": {}, "last_run_id": null}'


@contextmanager
def held_database(deployment: Deployment) -> Iterator[None]:
    """Hold the embedded database as another process's writer does."""
    code = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(deployment.settings.database_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            holder.communicate(b"\n", timeout=120)


def test_a_busy_database_is_a_reason_to_skip_and_no_failed_tick(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The next tick is near."""
    deployment = deploy(tmp_path, instance, database_wait_seconds=1)
    store(deployment, session(start=ago(2), minutes=60))
    with held_database(deployment):
        reason = reason_of(deployment.tick())
    assert reason.startswith("skipped this time: ")
    assert "in use" in reason
    assert request_of(deployment.tick())


@pytest.mark.slow
def test_windows_that_are_not_contiguous_are_read_in_one_run(deployment: Deployment) -> None:
    """Which is of the windows between them, too, and reads none of those: each hole is read alone."""
    start = ago(22)
    store(deployment, session(start=start, minutes=60))
    deployment.post(*every_minute(start, 22))
    assert deployment.perform(request_of(deployment.tick())).success
    with duckdb.connect(str(deployment.settings.database_path)) as connection:
        connection.execute(
            "UPDATE coverage SET low = low + 100000000000 WHERE low = (SELECT min(low) FROM coverage)"
        )
    request = request_of(deployment.tick())
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("monza|T+000m", "monza|T+020m")
    calls = len(deployment.exporter_calls())
    assert deployment.perform(request).success
    assert len(deployment.exporter_calls()) == calls + 2
    assert request_of(deployment.tick()).partition_key == "monza|T+020m"


@pytest.mark.slow
def test_a_channel_that_cannot_be_read_has_no_other_read_again(deployment: Deployment) -> None:
    """It alone is missing from the windows of before, and it alone is asked for there."""
    start, unreadable = ago(22), CHANNEL_ID + 1
    store(deployment, session(start=start, minutes=60, channels=(CHANNEL_ID, unreadable)))
    deployment.post(*every_minute(start, 22))
    assert deployment.perform(request_of(deployment.tick())).success
    calls = len(deployment.exporter_calls())
    request = request_of(deployment.tick())
    assert request.tags[RANGE_START] == "monza|T+000m"
    assert deployment.perform(request).success
    again, refused = deployment.exporter_calls()[calls:]
    assert (f"-c {CHANNEL_ID} " in again, f"-c {unreadable} " in refused) == (True, True)
    assert f"{start:%Y-%m-%dT%H:%M}" in refused
    assert f"{start + timedelta(minutes=20):%Y-%m-%dT%H:%M}" in again
    assert "rows_read" in deployment.materialisations("raw_export")["monza|T+000m"]
    assert len(deployment.stored()) == 22


def test_a_mistake_in_the_settings_of_channels_is_reported_until_it_is_corrected(
    deployment: Deployment,
) -> None:
    """By the next tick and by the status, with the line; no run fails for it, and nothing is lost."""
    start = ago(12)
    store(deployment, session(start=start, minutes=60))
    deployment.post(*every_minute(start, 12))
    path = deployment.settings.settings_file
    path.write_text("defaults:\n  keep_media_only: perhaps\n", encoding="utf-8")
    assert f"nothing is read: {path}, line 2: " in reason_of(deployment.tick())
    reading = ReadingModel.of(look_up_status(deployment.services, now()).reading)
    assert (reading.state, reading.last_failed) == ("failing", None)
    assert f"{path}, line 2: " in str(reading.problem)
    path.write_text("highlights:\n  threshold: high\n", encoding="utf-8")
    assert deployment.perform(request_of(deployment.tick())).success
    reading = ReadingModel.of(look_up_status(deployment.services, now()).reading)
    assert (reading.state, f"{path}, line 2: " in str(reading.problem)) == ("reading", True)
    path.unlink()
    assert ReadingModel.of(look_up_status(deployment.services, now()).reading).problem is None
    assert len(deployment.stored()) == 12


def test_a_session_that_goes_on_is_extended_and_reported(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The tick after its end reads on, and names the end it should have had."""
    deployment = deploy(tmp_path, instance)
    deployment.settings.data_dir.mkdir(exist_ok=True)
    deployment.settings.settings_file.write_text("defaults: {overrun_minutes: 30}\n", encoding="utf-8")
    start = ago(13)
    store(deployment, session(start=start, minutes=12.9))
    deployment.instance.add_dynamic_partitions(SESSION_PARTITIONS, ["monza"])
    deployment.post(*every_minute(start, 13))
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    assert request_of(deployment.tick()).tags["ingest/session"] == "monza"
    with deployment.services.database.read() as connection:
        [stored] = list_sessions(connection)
    assert stored.is_live(now())
    assert stored.scheduled_end == start + timedelta(minutes=12.9)


def test_a_session_that_is_moved_while_it_is_live_is_followed(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The next tick waits for the new start, and reads the new time when it is moved back."""
    deployment = deploy(tmp_path, instance)
    store(deployment, session(start=ago(3), minutes=12))
    assert request_of(deployment.tick()).tags["ingest/session"] == "monza"
    store(deployment, session(start=now() + timedelta(minutes=30), minutes=12))
    assert "no session is live; the next is monza" in reason_of(deployment.tick())
    store(deployment, session(start=ago(8), minutes=12))
    request = request_of(deployment.tick())
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("monza|T+000m", "monza|T+005m")


def test_a_poll_of_the_present_window_opens_the_database_eight_times(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each opening costs some ten milliseconds; sessions, for one, are read once for all steps."""
    start = ago(2)
    store(deployment, session(start=start, minutes=60))
    deployment.post(*every_minute(start, 2))
    request = request_of(deployment.tick())
    opened: list[str] = []
    connect = duckdb.connect

    def counted(database: str, **options: Any) -> duckdb.DuckDBPyConnection:
        opened.append(database)
        return connect(database, **options)

    monkeypatch.setattr(duckdb, "connect", counted)
    assert deployment.perform(request).success
    monkeypatch.undo()
    assert len(deployment.stored()) == 2
    assert len([each for each in opened if each == str(deployment.settings.database_path)]) <= 8
