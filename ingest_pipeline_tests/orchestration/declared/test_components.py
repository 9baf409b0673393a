"""A project of a team's own: scaffolded and checked with `dg`, its channels stored, its content extracted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from ingest_pipeline.content.patterns import matches_file, read_pattern
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.declared.channel_sensor import build_channel_sensor
from ingest_pipeline.orchestration.declared.pattern_assets import build_pattern_asset
from ingest_pipeline.orchestration.metadata import ROWS
from ingest_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.declared_channels import read_declaration
from ingest_pipeline_tests.cli_runs import OURS
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    START,
    Deployment,
    message,
    session,
)

LAPS = r"(?P<driver>[A-Z]{3}) pits on lap (?P<lap>\d+)(?P<tyre> for \w+)?"
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
CHANNEL = r"""
type: ingest_pipeline.components.IngestChannelComponent

attributes:
  guild_id: 690000000000000001
  channels:
    - id: 1100000000000000042
      name: team-radio
      settings:
        keep_media_only: true
        highlights: {threshold: 0.7}
  sessions:
    - id: 2026-monza-race
      start: 2026-09-06T13:00:00Z
      end: 2026-09-06T15:30:00+02:00
  content:
    - name: pit_stops
      pattern: 'box on lap (?P<lap>\d+)'
"""


class Project:
    """A Dagster project in a folder, whose definitions are its components."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.defs = folder / "src" / "team" / "defs"
        self.defs.mkdir(parents=True)
        self.defs.joinpath("__init__.py").touch()
        self.defs.with_name("__init__.py").touch()
        self.defs.with_name("definitions.py").write_text(DEFINITIONS)
        project = '[project]\nname = "team"\nversion = "1"\n[tool.dg]\ndirectory_type = "project"\n'
        folder.joinpath("pyproject.toml").write_text(f'{project}[tool.dg.project]\nroot_module = "team"\n')

    def dg(self, *arguments: str, code: int = 0) -> str:
        """Run `dg` and return what it writes to both streams."""
        return run_dg(self.folder, *arguments, code=code, PYTHONPATH=f"{self.folder / 'src'}:{PROJECT_ROOT}")


def run_dg(folder: Path, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run `dg` in a folder, with its data elsewhere, and return what it writes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    finished = subprocess.run(
        [str(Path(sys.executable).with_name("dg")), *arguments],
        cwd=folder,
        env={**inherited, "INGEST_ENV_FILE": os.devnull, "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == code, finished.stdout
    return finished.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_dg_works_in_the_checkout(tmp_path: Path) -> None:
    """It finds the definitions by `[tool.dg]`."""
    assert "All definitions loaded successfully" in run_dg(
        PROJECT_ROOT, "check", "defs", INGEST_DATA_DIR=str(tmp_path)
    )
    assert "live_session_sensor" in run_dg(PROJECT_ROOT, "list", "defs", INGEST_DATA_DIR=str(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_team_adds_channels_by_dg(tmp_path: Path) -> None:
    """Scaffolded components load; their file as a team writes it gives a sensor and an asset beside ours."""
    project = Project(tmp_path)
    for component, name in (("IngestPipelineComponent", "pipeline"), ("IngestChannelComponent", "radio")):
        project.dg("scaffold", "defs", f"ingest_pipeline.components.{component}", name)
    assert "loaded successfully" in project.dg("check", "defs")
    project.defs.joinpath("radio", "defs.yaml").write_text(CHANNEL)
    assert "validated successfully" in project.dg("check", "yaml")
    listed = project.dg("list", "defs", "--json")
    found = json.loads(listed[listed.index("{\n") :])
    assets = {each["asset_key"]: each["dependency_keys"] for each in found["assets"]}
    assert assets["pit_stops"] == ["messages"]
    assert {"channel_radio_sensor", "live_session_sensor"} <= {each["name"] for each in found["sensors"]}
    project.defs.joinpath("radio", "defs.yaml").write_text(CHANNEL.replace("keep_media_only", "keep_media"))
    assert "unknown" in project.dg("check", "defs", code=1)


def tick(deployment: Deployment, declaration: Any) -> str:
    """Evaluate the sensor of a declaration once and return what it says."""
    sensor = build_channel_sensor(declaration, deployment.settings)
    resources = {"tick_services": deployment.services}
    with dg.build_sensor_context(instance=deployment.instance, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def test_the_sensor_stores_what_is_declared(deployment: Deployment) -> None:
    """Once; the live sensor makes its sessions partitions, as those of the sessions file."""
    race = {"id": "monza", "start": "2025-09-07T13:00:00Z", "end": "2025-09-07T14:00:00Z"}
    declaration = read_declaration("radio", 7, [{"id": CHANNEL_ID}], [race])
    assert tick(deployment, declaration) == "stored: 1 sessions created, 0 updated"
    assert tick(deployment, declaration) == "stored as declared"
    with deployment.services.database.read() as connection:
        assert [each.session_id for each in list_sessions(connection)] == ["monza"]


def test_a_content_kind_has_a_row_for_each_match(deployment: Deployment) -> None:
    """Columns of the message and the groups; by window, of the declared channels, as messages are now."""
    deployment.add_sessions(session())
    deployment.post(
        message(START, "NOR pits on lap 12 for hards, PIA pits on lap 13"),
        message(START, "LEC stays out", 1),
        message(START.replace(minute=6), "LEC pits on lap 14", 2),
    )
    assert deployment.run("monza|T+000m", "monza|T+010m").success
    asset = build_pattern_asset(read_pattern("pit_stops", LAPS, [CHANNEL_ID]), deployment.settings, "")
    definitions = dg.Definitions.merge(deployment.definitions, dg.Definitions(assets=[asset]))
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=deployment.instance,
        tags={RANGE_START: "monza|T+000m", RANGE_END: "monza|T+010m"},
        asset_selection=[dg.AssetKey("pit_stops")],
    )
    assert result.success
    told = deployment.materialisations("pit_stops")
    assert {key: values[ROWS] for key, values in told.items()} == {
        "monza|T+000m": 2,
        "monza|T+005m": 1,
        "monza|T+010m": 0,
    }
    rows = pq.read_table(str(matches_file(deployment.settings, "pit_stops", "monza", "T+000m"))).to_pylist()
    assert [(row["driver"], row["lap"], row["tyre"]) for row in rows] == [
        ("NOR", "12", " for hards"),
        ("PIA", "13", None),
    ]
    assert {row["posted_at"] for row in rows} == {START}


def test_a_content_kind_of_another_channel_finds_nothing(deployment: Deployment) -> None:
    """Only the channels of its component are looked at."""
    deployment.add_sessions(session())
    deployment.post(message(START, "NOR pits on lap 12"))
    assert deployment.run("monza|T+000m").success
    asset = build_pattern_asset(read_pattern("pit_stops", LAPS, [CHANNEL_ID + 1]), deployment.settings, "")
    definitions = dg.Definitions.merge(deployment.definitions, dg.Definitions(assets=[asset]))
    definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=deployment.instance,
        partition_key="monza|T+000m",
        asset_selection=[dg.AssetKey("pit_stops")],
    )
    assert deployment.materialisations("pit_stops")["monza|T+000m"][ROWS] == 0


@pytest.mark.parametrize(
    ("name", "pattern", "said"),
    [
        ("Pit Stops", LAPS, "small letters"),
        ("pit_stops", "(?P<lap>[0-9", "is wrong"),
        ("pit_stops", "lap [0-9]+", "no named group"),
        ("pit_stops", "(?P<channel_id>x)", "channel_id, which is a column"),
    ],
)
def test_a_wrong_content_kind_is_refused(name: str, pattern: str, said: str) -> None:
    """The message names the kind, the pattern and what to write."""
    with pytest.raises(ConfigurationError, match=said):
        read_pattern(name, pattern, [CHANNEL_ID])
