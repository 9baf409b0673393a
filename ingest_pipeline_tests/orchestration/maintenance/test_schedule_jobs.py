"""Subscribed schedules are read by a job with a schedule."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline_tests.orchestration.deployments import Deployment, deploy

SEASON = '{"races": [{"name": "A", "slug": "a", "sessions": {"gp": "2030-09-06T13:00:00Z"}}]}'


@pytest.fixture
def deployment(tmp_path: Path, instance: dg.DagsterInstance) -> Deployment:
    """A deployment."""
    return deploy(tmp_path, instance)


def run(deployment: Deployment, *, dry_run: bool = False) -> dg.ExecuteInProcessResult:
    """Run the job."""
    job = deployment.definitions.resolve_job_def("sync_schedules")
    return job.execute_in_process(
        instance=deployment.instance,
        run_config={"ops": {"read_schedules": {"config": {"dry_run": dry_run}}}},
        raise_on_error=False,
    )


def stored(deployment: Deployment) -> list[str]:
    """Return the ids of the stored sessions."""
    with deployment.services.database.read() as connection:
        return [each.session_id for each in list_sessions(connection)]


def test_the_schedule_s_tick_reads_subscriptions_and_skips_without_any(deployment: Deployment) -> None:
    """A dry run changes nothing; a schedule that cannot be read fails the run after the others."""
    settings = deployment.settings
    assert deployment.tick_schedule("sync_schedules_schedule") == "no schedule is subscribed"
    settings.settings_file.parent.mkdir(exist_ok=True)
    (settings.data_dir / "season.json").write_text(SEASON, encoding="utf-8")
    lines = [
        "schedules:",
        "  gone: {url: 'file:gone.ics', channel_ids: 5}",
        "  season: {url: 'file:season.json', channel_ids: 5}",
    ]
    settings.settings_file.write_text("\n".join(lines), encoding="utf-8")
    assert isinstance(deployment.tick_schedule("sync_schedules_schedule"), dg.RunRequest)
    assert not run(deployment, dry_run=True).success
    assert stored(deployment) == []
    assert not run(deployment).success
    assert stored(deployment) == ["2030-a-gp"]
    (settings.data_dir / "gone.ics").write_text(SEASON.replace('"a"', '"b"'), encoding="utf-8")
    assert run(deployment).success
