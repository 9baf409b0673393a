"""What cannot be read, or was read for other bounds, proves nothing and spoils nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ingest_pipeline.errors import BadInput, ChannelNotFound
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.ingestion.imports import (
    backfill_session,
    import_messages,
    merge_documents,
    poll_live_session,
)
from ingest_pipeline.ingestion.polling import missing_keys
from ingest_pipeline.ingestion.refresh import normalize_windows
from ingest_pipeline.storage.runs.events import ingested_totals, latest_events
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    every_minute,
    session,
)

UNKNOWN = CHANNEL_ID + 1
LATER = START + timedelta(days=1)


@pytest.fixture
def two_channels(deployment: Deployment) -> Deployment:
    """A session in a channel that can be read and one that cannot."""
    deployment.add_sessions(session(channels=(CHANNEL_ID, UNKNOWN)))
    deployment.post(*every_minute(START, 12))
    return deployment


def missing(deployment: Deployment, *channels: int) -> list[str]:
    """Return the windows without proof."""
    with deployment.services.database.read() as connection:
        whole = session(channels=channels)
        return missing_keys(connection, whole, deployment.services.grid, LATER, timedelta(0))


def test_a_channel_that_cannot_be_read_does_not_keep_the_others_from_the_table(
    two_channels: Deployment,
) -> None:
    """Its windows stay unproven, and the check says so."""
    result = two_channels.run("monza|T+000m", "monza|T+010m")
    assert result.success
    assert len(two_channels.stored()) == 12
    assert missing(two_channels, CHANNEL_ID) == []
    assert missing(two_channels, UNKNOWN) == ["T+000m", "T+005m", "T+010m"]
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {"counts_agree", "ended_windows_are_proven"}
    warnings = two_channels.materialisations("raw_export")["monza|T+000m"]["warnings"]
    assert str(UNKNOWN) in str(warnings)


def test_the_command_merges_the_others_and_then_fails(two_channels: Deployment) -> None:
    """Nobody takes a partial session for a whole one."""
    with pytest.raises(ChannelNotFound, match=str(UNKNOWN)):
        backfill_session(two_channels.services, "monza")
    assert len(two_channels.stored()) == 12


def test_a_session_none_of_whose_channels_can_be_read_fails(deployment: Deployment) -> None:
    """The run fails, so that the sensor backs off."""
    deployment.add_sessions(session(channels=(UNKNOWN, UNKNOWN + 1)))
    assert not deployment.run("monza|T+000m").success


def failed_batches(deployment: Deployment) -> list[Event]:
    """Return the events of batches that failed, the latest first."""
    with deployment.services.database.read() as connection:
        events = latest_events(connection, limit=100)
        failed = {source: n for source, result, n in ingested_totals(connection) if result == "failed"}
    found = [event for event in events if event.event_type is EventType.INGESTION_FAILED]
    assert sum(failed.values()) == len(found)
    return found


def test_a_run_of_the_exporter_that_fails_is_recorded_and_counted(two_channels: Deployment) -> None:
    """By a Dagster run and by each command, once, under the id of its journey, with the error."""
    result = two_channels.run("monza|T+000m")
    with pytest.raises(ChannelNotFound):
        backfill_session(two_channels.services, "monza")
    with pytest.raises(ChannelNotFound):
        import_messages(two_channels.services, "monza", channel_id=UNKNOWN)
    with pytest.raises(ChannelNotFound):
        poll_live_session(two_channels.services, now=START + timedelta(minutes=5))
    failed = failed_batches(two_channels)
    assert len({event.correlation_id for event in failed}) == len(failed) == 4
    assert (failed[-1].correlation_id, failed[-1].run_id) == (result.run_id, result.run_id)
    assert {event.data["error"] for event in failed} == {"ChannelNotFound"}
    assert {(event.source, event.session_id) for event in failed} == {("export", "monza")}


def test_a_document_whose_header_cannot_be_read_is_recorded_as_failed(
    two_channels: Deployment, tmp_path: Path
) -> None:
    """A user's file, and a landed one when it is normalized."""
    file = tmp_path / "export.json"
    file.write_text("{")
    with pytest.raises(BadInput):
        import_messages(two_channels.services, "monza", file=file)
    assert two_channels.run("monza|T+000m").success
    (landed,) = two_channels.settings.data_dir.glob("landing/monza/T+000m/*.json")
    landed.write_text("{")
    with pytest.raises(BadInput):
        normalize_windows(two_channels.services, session(), ["T+000m"], "again")
    assert [event.source for event in failed_batches(two_channels)] == ["export", "export", "file"]


def test_a_document_that_was_read_for_other_bounds_proves_nothing(deployment: Deployment) -> None:
    """A session that was moved is read again, whatever had landed for it."""
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    assert deployment.run("monza|T+000m").success
    moved = session(start=START + timedelta(minutes=2))
    documents = normalize_windows(deployment.services, moved, ["T+000m"], "again")
    assert len(documents) == 1
    assert merge_documents(deployment.services, documents, "again").coverage == []
