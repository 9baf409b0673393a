"""A session longer than the grid: its last window is landed in parts, and a tick reads those that are new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.imports import backfill_session
from ingest_pipeline.ingestion.refresh import document_windows, normalize_windows, refresh_landing
from ingest_pipeline.landing import store
from ingest_pipeline.landing.stored_files import replace_file
from ingest_pipeline_tests.exports import write_export
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    Deployment,
    deploy,
    every_minute,
    message,
    session,
)
from ingest_pipeline_tests.orchestration.messages.test_checks import failing

LAST = "T+055m"
HOURS = 3


@pytest.fixture
def start() -> datetime:
    """The start of a session that has been live for three hours, of four; its grid has one hour."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(hours=HOURS)


@pytest.fixture
def le_mans(tmp_path: Path, start: datetime) -> Iterator[Deployment]:
    """That session with a message each minute, nothing of it read yet."""
    with dg.DagsterInstance.ephemeral() as instance:
        deployment = deploy(tmp_path, instance, session_max_hours=1)
        deployment.add_sessions(session(start=start, minutes=240))
        deployment.post(*every_minute(start, HOURS * 60))
        yield deployment


def backfill(deployment: Deployment) -> None:
    """Read all windows that have begun, and find every check quiet."""
    result = deployment.run("monza|T+000m", f"monza|{LAST}")
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())


def tick(deployment: Deployment) -> dict[str, Any]:
    """Do what the sensor asks for; return the metadata of the last window's export."""
    (request,) = deployment.tick().run_requests or []
    result = deployment.perform(request)
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    return deployment.materialisations("raw_export")[f"monza|{LAST}"]


def asked_from(deployment: Deployment) -> datetime:
    """Return the lower bound of the exporter's latest run."""
    words = deployment.exporter_calls()[-1].split()
    return datetime.fromisoformat(words[words.index("--after") + 1])


def edit(deployment: Deployment, minute: int, content: str) -> None:
    """Edit the message of a minute of the session, as Discord has it."""
    path = deployment.folder / "world.json"
    world = json.loads(path.read_text())
    edited = world["channels"][0]["messages"][minute]
    edited["content"] = content
    edited["timestampEdited"] = (created_at(int(edited["id"])) + timedelta(seconds=1)).isoformat()
    path.write_text(json.dumps(world))


def documents(deployment: Deployment) -> list[dict[str, Any]]:
    """Return what the last window has landed, in time order."""
    folder = deployment.settings.data_dir / "landing" / "monza" / LAST
    found = [json.loads(path.read_text()) for path in folder.rglob(f"{CHANNEL_ID}.json")]
    return sorted(found, key=lambda document: str(document["dateRange"]["after"]))


def land_whole(deployment: Deployment, start: datetime) -> None:
    """Land and normalize the last window as one document, as versions did that knew no parts."""
    services, of = deployment.services, session(start=start, minutes=240)
    window = Window(start + timedelta(minutes=55), of.end_time)
    world = json.loads((deployment.folder / "world.json").read_text())
    taken = [
        {**raw, "timestamp": at.isoformat(), "type": "Default"}
        for raw in world["channels"][0]["messages"]
        if (at := created_at(int(raw["id"]))) in window
    ]
    export = write_export(deployment.folder / "whole.json", taken, channel={"id": str(CHANNEL_ID)})
    read_at = datetime.now(UTC) - timedelta(minutes=2)
    services.landing.land(export, "monza", [(LAST, window)], CHANNEL_ID, read_at)


@pytest.mark.slow
def test_a_tick_reads_what_is_new_of_a_long_window(le_mans: Deployment, start: datetime) -> None:
    """Not everything since the grid ended, and what is posted meanwhile is there once."""
    backfill(le_mans)
    le_mans.post(message(datetime.now(UTC) - timedelta(seconds=5)))
    reported = tick(le_mans)
    assert asked_from(le_mans) >= datetime.now(UTC) - timedelta(minutes=12)
    assert reported["exporter_messages"] == reported["rows_read"] <= 12
    assert len(le_mans.stored()) == HOURS * 60 + 1
    assert "dagster/partition_row_count" not in reported
    assert le_mans.materialisations("messages")[f"monza|{LAST}"]["dagster/partition_row_count"] == 126
    assert failing(le_mans) == {}


@pytest.mark.slow
def test_a_backfill_reads_a_long_window_whole(le_mans: Deployment, start: datetime) -> None:
    """With one run of the exporter, and every part is replaced: an edit of hours ago arrives."""
    backfill(le_mans)
    edit(le_mans, 90, "`Leclerc` corrected")
    tick(le_mans)
    assert "`Leclerc` corrected" not in le_mans.stored().values()
    calls = len(le_mans.exporter_calls())
    assert le_mans.run(f"monza|{LAST}").success
    assert len(le_mans.exporter_calls()) == calls + 1
    assert asked_from(le_mans) <= start + timedelta(minutes=55)
    assert "`Leclerc` corrected" in le_mans.stored().values()
    of = session(start=start, minutes=240)
    parts = [window for _, window in document_windows(le_mans.services, of, [LAST])]
    assert [document["dateRange"]["after"] for document in documents(le_mans)] == [
        window.start.isoformat() for window in parts
    ]
    assert sum(document["messageCount"] for document in documents(le_mans)) == 125
    assert failing(le_mans) == {}


def test_a_hole_in_a_long_window_is_read_from_there(le_mans: Deployment, start: datetime) -> None:
    """After an outage the next tick reads everything since, and nothing before."""
    of = session(start=start, minutes=240)
    backfill_session(le_mans.services, "monza", keys=le_mans.services.grid.keys[:-1])
    early = le_mans.services.grid.parts(LAST, of.window)[:13]
    backfill_session(le_mans.services, "monza", keys=early)
    assert len(le_mans.stored()) == 120
    tick(le_mans)
    assert timedelta(minutes=114) <= asked_from(le_mans) - start <= timedelta(minutes=120)
    assert len(le_mans.stored()) == HOURS * 60


@pytest.mark.slow
def test_a_document_of_a_whole_long_window_stays_good(le_mans: Deployment, start: datetime) -> None:
    """One from before windows had parts is normalized, merged and checked as what it is."""
    assert le_mans.run("monza|T+000m", "monza|T+050m").success
    land_whole(le_mans, start)
    normalize = dg.AssetKey("normalized_messages"), dg.AssetKey("messages")
    job = le_mans.definitions.resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(normalize)).execute_in_process(
        instance=le_mans.instance, partition_key=f"monza|{LAST}"
    )
    assert result.success
    assert len(le_mans.stored()) == HOURS * 60
    assert failing(le_mans) == {}


@pytest.mark.slow
def test_parts_beside_a_document_of_the_whole_window_double_nothing(
    le_mans: Deployment, start: datetime
) -> None:
    """A session that is live when the version changes gets parts from then on; a backfill replaces all."""
    test_a_document_of_a_whole_long_window_stays_good(le_mans, start)
    le_mans.post(message(datetime.now(UTC) - timedelta(seconds=5)))
    tick(le_mans)
    assert asked_from(le_mans) >= datetime.now(UTC) - timedelta(minutes=12)
    assert len(documents(le_mans)) in {2, 3, 4}
    assert failing(le_mans) == {}
    frame = le_mans.services.normalized.frame("monza", le_mans.services.grid.keys)
    assert sorted(frame["discord_id"]) == sorted(le_mans.stored())
    of = session(start=start, minutes=240)
    normalize_windows(le_mans.services, of, [LAST], "again")
    assert failing(le_mans) == {}
    backfill(le_mans)
    assert max(document["messageCount"] for document in documents(le_mans)) <= 5 + 1
    assert len(le_mans.stored()) == HOURS * 60 + 1
    assert failing(le_mans) == {}


@pytest.mark.slow
@pytest.mark.parametrize("parts", [0, 1, 7])
def test_a_run_that_dies_between_two_parts_loses_and_doubles_nothing(
    le_mans: Deployment, start: datetime, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    """What had landed of it is whole, what had not stays as it was, and the next run reads it all."""
    backfill(le_mans)
    edit(le_mans, 60, "`Leclerc` corrected")
    edit(le_mans, 170, "`Leclerc` corrected too")
    put, seen = replace_file, iter(range(1000))

    def dies(*arguments: Any) -> None:
        if next(seen) >= parts:
            raise KeyboardInterrupt
        put(*arguments)

    of = session(start=start, minutes=240)
    with monkeypatch.context() as patched:
        patched.setattr(store, "replace_file", dies)
        with pytest.raises(KeyboardInterrupt):
            refresh_landing(le_mans.services, of, [LAST], "killed")
    assert sum(document["messageCount"] for document in documents(le_mans)) == 125
    assert len(le_mans.stored()) == HOURS * 60
    backfill(le_mans)
    assert sorted(le_mans.stored().values())[-2:] == ["`Leclerc` corrected", "`Leclerc` corrected too"]
    assert len(le_mans.stored()) == HOURS * 60
    assert failing(le_mans) == {}
