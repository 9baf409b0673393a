"""Materialising windows of sessions, from the exporter's process to the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pandas as pd
import pytest

from ingest_pipeline.orchestration.messages.assets import build_assets
from ingest_pipeline.orchestration.partitions import (
    SESSION_PARTITIONS,
    partition_key,
    session_windows_partitions,
)
from ingest_pipeline.orchestration.resources import build_resources
from ingest_pipeline_tests.orchestration.deployments import (
    ASSETS,
    CHANNEL_ID,
    START,
    Deployment,
    every_minute,
    message,
    session,
)


@pytest.fixture
def monza(deployment: Deployment) -> Deployment:
    """A deployment with a finished session of twelve minutes, with a message in each."""
    deployment.add_sessions(session())
    deployment.post(*every_minute(START, 12))
    return deployment


def test_one_partition_goes_all_the_way(monza: Deployment) -> None:
    """A window is read, normalized and merged; each asset reports what it did."""
    monza.post(message(START + timedelta(seconds=20), content=""))
    result = monza.run("monza|T+000m")
    assert result.success
    assert len(monza.stored()) == 5
    raw = monza.materialisations("raw_export")["monza|T+000m"]
    assert raw["dagster/partition_row_count"] == raw["exporter_messages"] == 6
    assert raw["landed"].endswith(f"landing/monza/T+000m/{CHANNEL_ID}.json")
    assert raw["exporter_seconds"] > 0
    normalized = monza.materialisations("normalized_messages")["monza|T+000m"]
    assert normalized["received"] == 6
    assert normalized["dagster/partition_row_count"] == 5
    assert normalized["skipped_no_content"] == normalized["skipped"] == 1
    assert normalized["first_posted"] == (START + timedelta(seconds=10)).timestamp()
    assert normalized["last_posted"] == (START + timedelta(minutes=4, seconds=10)).timestamp()
    table = monza.materialisations("messages")["monza|T+000m"]
    assert (table["run_created"], table["run_updated"], table["run_unchanged"], table["run_stale"]) == (
        5,
        0,
        0,
        0,
    )
    assert table["dagster/partition_row_count"] == table["dagster/row_count"] == 5
    assert table["proven_until"] == (START + timedelta(minutes=5)).timestamp()
    assert {each["correlation_id"] for each in (raw, normalized, table)} == {result.run_id}


def test_reading_a_window_again_changes_nothing(monza: Deployment) -> None:
    """The second run finds everything unchanged."""
    monza.run("monza|T+000m")
    before = monza.stored()
    assert monza.run("monza|T+000m").success
    table = monza.materialisations("messages")["monza|T+000m"]
    assert (table["run_created"], table["run_updated"], table["run_unchanged"]) == (0, 0, 5)
    assert monza.stored() == before


def test_a_whole_session_is_one_run_and_one_exporter_call(monza: Deployment) -> None:
    """The windows past its end are there as recorded no-ops."""
    assert monza.run("monza|T+000m", "monza|T+355m").success
    assert len(monza.exporter_calls()) == 1
    assert len(monza.stored()) == 12
    for asset in ASSETS:
        materialised = monza.materialisations(asset)
        assert len(materialised) == 72
        counts = [
            materialised[f"monza|T+{5 * index:03d}m"]["dagster/partition_row_count"] for index in range(4)
        ]
        assert counts == [5, 5, 2, 0]
    note = monza.materialisations("messages")["monza|T+015m"]["note"]
    assert note == "nothing to do: the session ends at 2025-09-07 13:12:00 UTC, before this window"


def test_a_window_that_has_not_begun_is_a_recorded_no_op(deployment: Deployment) -> None:
    """Nothing is read from the future, and nothing pretends to have been."""
    start = datetime.now(UTC) + timedelta(hours=1)
    deployment.add_sessions(session(start=start))
    assert deployment.run("monza|T+000m").success
    assert deployment.exporter_calls() == []
    note = deployment.materialisations("messages")["monza|T+000m"]["note"]
    assert note == f"nothing to do yet: this window begins at {start:%Y-%m-%d %H:%M:%S} UTC"


def test_a_range_over_several_sessions_is_read_session_by_session(monza: Deployment) -> None:
    """A run of the product of sessions and windows links every message to its own session."""
    later = START + timedelta(days=14)
    monza.add_sessions(session("baku", later))
    monza.post(*every_minute(later, 12))
    assert monza.run("monza|T+000m", "baku|T+005m").success
    assert len(monza.exporter_calls()) == 2
    assert len(monza.stored("monza")) == len(monza.stored("baku")) == 10


def test_every_channel_of_a_session_is_read(deployment: Deployment) -> None:
    """Two channels are two exporter runs into the same windows."""
    other = CHANNEL_ID + 1
    deployment.add_sessions(session(channels=(CHANNEL_ID, other)))
    deployment.post(*every_minute(START, 12))
    deployment.post(message(START + timedelta(seconds=5), low_bits=1), channel_id=other)
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    assert len(deployment.exporter_calls()) == 2
    assert len(deployment.stored()) == 13
    first = deployment.materialisations("raw_export")["monza|T+000m"]
    assert first["exporter_runs"] == 2
    assert f"landing/monza/T+000m/{other}.json" in first["landed"]


def test_what_the_exporter_warns_of_is_shown(deployment: Deployment) -> None:
    """An empty window may be a channel whose history is hidden: that is said on the partition."""
    deployment.add_sessions(session())
    deployment.post(message(START + timedelta(minutes=7)))
    assert deployment.run("monza|T+000m").success
    assert "may not read" in deployment.materialisations("raw_export")["monza|T+000m"]["warnings"]


def test_the_table_has_a_picture_of_messages_per_minute(monza: Deployment) -> None:
    """A data URI of a few kilobytes, on every window and on the last event of a backfill."""
    monza.run("monza|T+000m", "monza|T+015m")
    materialised = monza.materialisations("messages")
    for key in ("T+000m", "T+015m"):
        picture = materialised[f"monza|{key}"]["messages_per_minute"]
        assert picture.startswith("![messages per minute of monza](data:image/svg+xml;base64,")
        assert len(picture) < 4_000
    assert "messages_per_minute" not in monza.materialisations("raw_export")["monza|T+000m"]


def test_a_partition_of_a_removed_session_fails_with_the_remedy(deployment: Deployment) -> None:
    """The partition may outlive its session for a moment."""
    deployment.add_sessions(session("baku"))
    deployment.instance.add_dynamic_partitions(SESSION_PARTITIONS, ["bakv"])
    result = deployment.run("bakv|T+000m")
    assert not result.success
    assert "did you mean 'baku'?" in (result.all_events[-1].message or "") or any(
        "did you mean 'baku'?" in str(event.event_specific_data) for event in result.all_events
    )


def test_a_downstream_asset_is_given_a_frame_of_its_partitions(monza: Deployment) -> None:
    """A parameter named like the asset is a pandas frame of all windows of the run."""
    monza.run("monza|T+000m", "monza|T+010m")
    seen: list[pd.DataFrame] = []

    def radio(normalized_messages: pd.DataFrame) -> dg.MaterializeResult[None]:
        seen.append(normalized_messages)
        return dg.MaterializeResult()

    partitions = session_windows_partitions(monza.services.grid)
    downstream = dg.asset(partitions_def=partitions)(radio)
    job = dg.define_asset_job("radio_job", selection=[downstream])
    definitions = dg.Definitions(
        assets=[*build_assets(monza.settings), downstream],
        jobs=[job],
        resources=build_resources(monza.settings),
    )
    resolved = definitions.resolve_job_def("radio_job")
    assert resolved.execute_in_process(
        instance=monza.instance, partition_key=partition_key("monza", "T+005m")
    ).success
    ends = {
        "dagster/asset_partition_range_start": "monza|T+000m",
        "dagster/asset_partition_range_end": "monza|T+010m",
    }
    assert resolved.execute_in_process(instance=monza.instance, tags=ends).success
    one, whole = seen
    assert len(one) == 5
    assert len(whole) == 12
    assert whole["posted_at"].is_monotonic_increasing
    assert str(whole["discord_id"].dtype) == "Int64"
    assert set(whole["driver"]) == {"Leclerc"}


def test_rows_are_written_in_one_way_only(monza: Deployment) -> None:
    """An asset that hands a value to the frames' keeper gets an error that shows how rows are written."""

    @dg.asset(io_manager_key="normalized_frames")
    def other() -> int:
        return 1

    definitions = dg.Definitions(assets=[other], resources=build_resources(monza.settings))
    job = definitions.resolve_implicit_global_asset_job_def()
    with pytest.raises(dg.DagsterInvariantViolationError, match="only written through NormalizedStore"):
        job.execute_in_process(instance=monza.instance)
