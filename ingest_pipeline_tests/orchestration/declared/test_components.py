"""A project of a team's own: scaffolded and checked with `dg`, its channels stored, its content extracted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.orchestration.declared.channel_sensor import build_channel_sensor
from ingest_pipeline.storage.messages.sessions import list_sessions
from ingest_pipeline.userconfig.declared_channels import read_declaration
from ingest_pipeline_tests.cli_runs import OURS
from ingest_pipeline_tests.orchestration.deployments import (
    CHANNEL_ID,
    Deployment,
)

DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
KINDS = r"""
- name: pit_stops
  pattern: 'box on lap (?P<lap>\d+)'
"""
CHANNEL = """
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

    def dg(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run `dg` and return what it writes to both streams."""
        environment["PYTHONPATH"] = f"{self.folder / 'src'}:{PROJECT_ROOT}"
        return run_dg(self.folder, *arguments, code=code, **environment)


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
    """Scaffolded components load; files as a team writes them give a sensor and an asset beside ours."""
    project = Project(tmp_path)
    kinds = tmp_path / "kinds.yaml"
    kinds.write_text(KINDS)
    for component, name in (("IngestPipelineComponent", "pipeline"), ("IngestChannelComponent", "radio")):
        project.dg("scaffold", "defs", f"ingest_pipeline.components.{component}", name)
    assert "loaded successfully" in project.dg("check", "defs")
    project.defs.joinpath("radio", "defs.yaml").write_text(CHANNEL)
    assert "validated successfully" in project.dg("check", "yaml")
    listed = project.dg("list", "defs", "--json", INGEST_KINDS=str(kinds))
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
    assert tick(deployment, declaration) == "stored: 1 session created, 0 updated"
    assert tick(deployment, declaration) == "stored as declared"
    with deployment.services.database.read() as connection:
        assert [each.session_id for each in list_sessions(connection)] == ["monza"]
