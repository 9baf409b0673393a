"""What Dagster finds when it loads the code location."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.resources import build_resources
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.orchestration.deployments import ASSETS, Deployment, deploy

_SNAPSHOT = """
import json, warnings
warnings.simplefilter("error")
from ingest_pipeline.definitions import defs
loaded = defs()
graph = loaded.resolve_asset_graph()
print(json.dumps({
    "assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    "checks": sorted(check.to_user_string() for check in graph.asset_check_keys),
    "jobs": sorted(job.name for job in loaded.resolve_all_job_defs() if not job.name.startswith("__")),
    "sensors": {
        sensor.name: [sensor.minimum_interval_seconds, sensor.default_status.value]
        for sensor in loaded.sensors or []
    },
}))
"""


def load(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own whose environment holds nothing but what is given."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(PROJECT_ROOT), "INGEST_DATA_DIR": str(folder / "data"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


CHECKS = [
    "channels:monitored_channels_can_be_read",
    "clips:follows_messages",
    "highlights:follows_messages",
    "message_classes:follows_messages",
    "messages:agrees_with_discord",
    "messages:counts_agree",
    "messages:discord_ids_are_unique",
    "messages:ended_windows_are_proven",
    "messages:rows_belong_to_their_session",
    "normalized_messages:rows_are_inside_their_window",
    "polls:follows_messages",
    "team_radio:follows_messages",
    "trade_setups:follows_messages",
]


def test_the_code_location_holds_what_it_should_with_nothing_in_the_environment(tmp_path: Path) -> None:
    """Assets, checks, job and sensor are there, no warning is raised and nothing is written."""
    loaded = load(tmp_path, _SNAPSHOT)
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout) == {
        "assets": [
            "channel_messages",
            "channels",
            "clip_files",
            "clips",
            "guilds",
            "highlights",
            "message_classes",
            "messages",
            "normalized_messages",
            "polls",
            "raw_export",
            "session_manifest",
            "session_report",
            "team_radio",
            "trade_setups",
            "users",
        ],
        "checks": CHECKS,
        "jobs": [
            "catalogue_sync",
            "check_permissions",
            "fetch_clips",
            "import_history",
            "ingest_job",
            "prune_dagster_history",
            "prune_data",
            "purge_install_intents",
            "read_scan_runs",
            "session_report_job",
            "session_seal_job",
            "sync_schedules",
            "verify_messages",
        ],
        "sensors": {
            "changed_windows_sensor": [30, "RUNNING"],
            "channel_months_sensor": [300, "RUNNING"],
            "alert_sensor": [30, "RUNNING"],
            "live_session_sensor": [30, "RUNNING"],
            "scan_runs_sensor": [600, "RUNNING"],
            "session_report_sensor": [60, "RUNNING"],
            "session_seal_sensor": [120, "RUNNING"],
        },
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_importing_the_code_location_reads_no_settings(tmp_path: Path) -> None:
    """A wrong setting is reported when the definitions are loaded, by its name, and not at import."""
    code = "import ingest_pipeline.definitions as d; print('imported'); d.defs()"
    loaded = load(tmp_path, code, POLL_INTERVAL_SECONDS="soon")
    assert loaded.stdout == "imported\n"
    assert "POLL_INTERVAL_SECONDS" in loaded.stderr


def test_a_data_folder_with_its_own_env_file_is_not_mixed_with_the_projects(tmp_path: Path) -> None:
    """The demo's folder has one: what the project's says, such as a real database, does not count there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".env").write_text("POLL_INTERVAL_SECONDS=7\n")
    loaded = load(tmp_path, _SNAPSHOT)
    assert json.loads(loaded.stdout)["sensors"]["live_session_sensor"] == [7, "RUNNING"]


@pytest.mark.slow
def test_loading_needs_no_heavy_library(tmp_path: Path) -> None:
    """A run every 30 seconds pays for each import: pictures and frames import theirs when needed."""
    code = (
        "import sys; from ingest_pipeline.definitions import defs; defs(); "
        "print([name for name in ('pandas', 'psycopg', 'icalendar') if name in sys.modules])"
    )
    assert load(tmp_path, code).stdout == "[]\n"


def test_the_definitions_are_loadable(deployment: Deployment) -> None:
    """Everything in them fits together."""
    dg.Definitions.validate_loadable(deployment.definitions)


def test_the_catalogue_shows_what_each_asset_is(deployment: Deployment) -> None:
    """Group, owner, kinds, description, columns and single-run backfills are set."""
    graph = deployment.definitions.resolve_asset_graph()
    kinds = {key: graph.get(dg.AssetKey(key)).kinds for key in ASSETS}
    assert kinds == {
        "raw_export": {"json", "discord"},
        "normalized_messages": {"pandas", "parquet"},
        "messages": {"duckdb", "sql"},
    }
    for key in ASSETS:
        node = graph.get(dg.AssetKey(key))
        assert node.group_name == "discord"
        assert node.owners == ["team:ingest"]
        assert node.description
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        [reference] = node.metadata["dagster/code_references"].code_references
        assert reference.file_path.endswith("messages/assets.py")
    table = graph.get(dg.AssetKey("messages"))
    assert table.pools == {"ingest_database_writer"}
    assert table.metadata["dagster/table_name"] == "ingest.main.messages"
    schema = table.metadata["dagster/column_schema"]
    assert {"discord_id", "deleted_at", "updated_at"} <= {column.name for column in schema.columns}
    assert all(column.description for column in schema.columns)


def test_on_postgresql_nothing_waits_for_a_single_writer(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The pool is DuckDB's; the table is called by its PostgreSQL name, without the secret of the URL."""
    deployment = deploy(tmp_path, instance, database_url="postgresql://me:secret@host:5432/racing")
    table = deployment.definitions.resolve_asset_graph().get(dg.AssetKey("messages"))
    assert table.pools == set()
    assert table.kinds == {"postgres", "sql"}
    assert table.metadata["dagster/table_name"] == "racing.public.messages"


@pytest.mark.parametrize("seconds", [5, 45])
def test_the_sensor_ticks_at_the_interval_of_the_settings(
    tmp_path: Path, instance: dg.DagsterInstance, seconds: int
) -> None:
    """`POLL_INTERVAL_SECONDS` decides."""
    deployment = deploy(tmp_path, instance, POLL_INTERVAL_SECONDS=seconds)
    sensor = deployment.definitions.resolve_sensor_def("live_session_sensor")
    assert sensor.minimum_interval_seconds == seconds


def test_the_tick_waits_for_the_database_only_briefly() -> None:
    """Dagster gives a sensor 60 seconds; the runs may wait longer."""
    resources = build_resources(Settings(_env_file=None, database_wait_seconds=60))
    services, tick_services = resources["services"], resources["tick_services"]
    assert isinstance(services, Services)
    assert isinstance(tick_services, Services)
    assert services.settings.database_wait_seconds == 60
    assert tick_services.settings.database_wait_seconds == 10
