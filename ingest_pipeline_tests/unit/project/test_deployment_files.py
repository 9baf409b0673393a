"""What lies under deploy/ fits the code it deploys."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config
from packaging.utils import canonicalize_name
from typer.core import TyperGroup
from typer.main import get_command

from ingest_pipeline.cli.app import app
from ingest_pipeline.env_file import read_env_file
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.settings import Settings
from ingest_pipeline.stack.services import bot_service
from ingest_pipeline_tests.unit.project.test_checkout import declared, pins

DEPLOY = PROJECT_ROOT / "deploy"
CELERY, COMPOSE, KUBERNETES, SINGLE = (
    DEPLOY / name for name in ("celery", "compose", "kubernetes", "single")
)
UNITS = sorted(DEPLOY.glob("*/systemd/*.service"))
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
VARIABLE = re.compile(r"\bINGEST_[A-Z]+(?:_[A-Z]+)*\b")


def environment(folder: Path = CELERY) -> dict[str, str]:
    """Read the example of a deployment's environment, without what is commented out."""
    lines = (folder / "ingest.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def values() -> dict[str, Any]:
    """Read the chart's values."""
    loaded: dict[str, Any] = yaml.safe_load((KUBERNETES / "values.yaml").read_text())
    return loaded


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_named_is_a_documented_one(path: Path) -> None:
    """A slip in a name would silently mean the default."""
    documented = set(VARIABLE.findall((PROJECT_ROOT / "docs" / "settings.md").read_text()))
    assert set(VARIABLE.findall(path.read_text())) <= documented


def test_the_example_environment_is_a_valid_celery_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value fits its setting, and nothing that Celery needs is missing."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.executor == "celery"
    assert settings.celery_broker_url
    assert settings.database_url
    assert settings.landing_url


def test_the_example_environment_is_a_valid_single_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value fits its setting, and all that is written is in the one folder that the units may write."""
    for name, value in environment(SINGLE).items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.executor != "celery"
    assert settings.data_dir == Path("/var/lib/ingest")
    assert settings.exporter_path.is_relative_to(settings.data_dir)
    assert Path(environment(SINGLE)["DAGSTER_HOME"]).is_relative_to(settings.data_dir)


@pytest.mark.parametrize("folder", [CELERY, SINGLE], ids=lambda folder: folder.name)
def test_systemd_and_the_commands_read_the_same_from_the_example(folder: Path) -> None:
    """Its values have neither quotes nor characters that one of the two would take otherwise."""
    assert read_env_file(folder / "ingest.env.example") == environment(folder)
    assert not [value for value in environment(folder).values() if re.search(r"[\\'\"$ ]", value)]


def test_dagster_accepts_the_celery_instance_and_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its state is in PostgreSQL, none on a worker's disk."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_text((CELERY / "dagster.yaml").read_text())
    # What it says, without connecting to the database that it names.
    instance = InstanceRef.from_dir(str(tmp_path))
    assert instance.storage_data is not None
    assert instance.storage_data.class_name == "DagsterPostgresStorage"
    assert instance.compute_logs_data.class_name == "NoOpComputeLogManager"
    workspace = process_workspace_config(yaml.safe_load((CELERY / "workspace.yaml").read_text()))
    assert workspace.success, workspace.errors


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.parent.parent.name}/{unit.stem}")
def test_a_unit_starts_what_exists(unit: Path) -> None:
    """Modules, programs, and files of the checkout, which lies in /srv/ingest."""
    text = unit.read_text()
    for module in re.findall(r" -m (ingest_pipeline\S*)", text):
        assert find_spec(module)
    for program in re.findall(r"/srv/ingest/\.venv/bin/(\S+)", text):
        assert (Path(sys.executable).parent / program).is_file()
    for path in re.findall(r"/srv/ingest/([^.\s]\S+)", text):
        assert (PROJECT_ROOT / path).is_file()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="takes systemd-analyze")
@pytest.mark.parametrize("deployment", [CELERY, SINGLE], ids=lambda folder: folder.name)
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, deployment: Path) -> None:
    """An unknown key is only a warning to it, and would do nothing."""
    for unit in (deployment / "systemd").iterdir():
        text = unit.read_text().replace("/srv/ingest/.venv/bin", str(Path(sys.executable).parent))
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_bot_is_not_started_again_for_what_a_new_start_does_not_change() -> None:
    """By the exit codes at which `./start.sh` leaves it, and one for a wrong command line."""
    text = (SINGLE / "systemd" / "ingest-bot.service").read_text()
    assert "Restart=on-failure" in text
    found = re.search(r"^RestartPreventExitStatus=(.+)$", text, re.MULTILINE)
    assert found
    left = {int(code) for code in found[1].split()}
    assert left | {ExitCode.OK} == bot_service().final_codes | {ExitCode.USAGE}


def test_no_secret_stands_in_the_chart_values() -> None:
    """Each is named, and kept in a Secret of the cluster."""
    deployment = values()["dagster-user-deployments"]["deployments"][0]
    given = {each["name"] for each in deployment["env"]}
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert not given & {f"INGEST_{name.upper()}" for name in secret}
    assert not given & {"DISCORD_OAUTH_TOKEN", "DISCORD_BOT_TOKEN", "AWS_SECRET_ACCESS_KEY"}
    assert deployment["envSecrets"]
    assert "postgresqlPassword" not in values()["postgresql"]


def test_runs_in_the_cluster_may_not_become_root() -> None:
    """Neither the code server nor a run, in an image whose user is the one named."""
    chart = values()
    server = chart["dagster-user-deployments"]["deployments"][0]["securityContext"]
    run = chart["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["containerConfig"][
        "security_context"
    ]
    assert server == run
    assert server["runAsNonRoot"]
    assert f"USER {server['runAsUser']}\n" in (KUBERNETES / "Dockerfile").read_text()


def test_limits_of_runs_stand_in_one_place_only() -> None:
    """Dagster refuses them in both, and the chart writes the one when anything else of the queue is set."""
    chart = values()
    assert "runs" not in chart.get("concurrency", {})
    queue = chart["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["maxConcurrentRuns"]


@pytest.mark.parametrize("extra", ["celery", "kubernetes"])
def test_a_deployment_installs_the_pinned_versions(extra: str) -> None:
    """Its own packages within their bounds, the others as everywhere."""
    pinned = pins(f"requirements-{extra}.txt")
    for requirement in declared(extra):
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    for package, versions in pins("requirements.txt").items():
        assert pinned[package] == versions


def test_the_image_is_made_of_files_that_exist() -> None:
    """And the builder is sent each of them."""
    sent = (KUBERNETES / "Dockerfile.dockerignore").read_text()
    for line in re.findall(r"^COPY ((?!--from).+)$", (KUBERNETES / "Dockerfile").read_text(), re.MULTILINE):
        for name in line.split()[:-1]:
            assert (PROJECT_ROOT / name).exists()
            assert f"!{name}\n" in sent


def compose() -> dict[str, Any]:
    """Read the services of Docker Compose."""
    loaded: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    return loaded


def test_the_images_have_the_version_of_the_project() -> None:
    """Which stands in pyproject.toml."""
    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert values()["dagster-user-deployments"]["deployments"][0]["image"]["tag"] == version
    assert compose()["pipeline"]["image"].endswith(f":{version}")


def test_compose_starts_a_command_that_exists_in_an_image_that_can_be_built() -> None:
    """With options that the command has, after a database that answers."""
    pipeline = compose()["pipeline"]
    program, command, *options = pipeline["command"]
    assert program == "ingest"
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    known = {opt for each in group.commands[command].params for opt in each.opts}
    assert {option for option in options if option.startswith("--")} <= known
    context = (COMPOSE / pipeline["build"]["context"]).resolve()
    assert (context / pipeline["build"]["dockerfile"]).is_file()
    assert context == PROJECT_ROOT
    assert pipeline["depends_on"]["database"]["condition"] == "service_healthy"


def test_compose_is_reachable_from_this_machine_only_and_needs_its_secrets() -> None:
    """Its ports are loopback's; without password and token for writing it refuses to start."""
    text = (COMPOSE / "compose.yaml").read_text()
    ports = [port for service in compose().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert {"DATABASE_PASSWORD", "INGEST_API_TOKEN"} <= set(re.findall(r"\$\{([A-Z_]+):\?", text))
    example = (COMPOSE / "compose.env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == asked
    assert re.findall(r"^[A-Z_]+=(.+)$", example, re.MULTILINE) == []


def test_compose_makes_the_databases_that_the_pipeline_connects_to() -> None:
    """Owned by its user, and in UTF-8."""
    script = (COMPOSE / "databases.sh").read_text()
    environment = compose()["pipeline"]["environment"]
    for name in ("INGEST_DATABASE_URL", "INGEST_DAGSTER_POSTGRES_URL"):
        url = urlsplit(environment[name].replace("${DATABASE_PASSWORD}", "x"))
        assert url.hostname == "database"
        assert f"CREATE ROLE {url.username} LOGIN" in script
        assert f"CREATE DATABASE {url.path[1:]} OWNER {url.username} ENCODING 'UTF8'" in script


def test_an_exporter_of_ones_own_takes_the_place_of_a_stage() -> None:
    """A build context of that name is the whole of what the image takes from it."""
    text = (KUBERNETES / "Dockerfile").read_text()
    assert "FROM scratch AS exporter\n" in text
    assert "COPY --from=exporter / /srv/exporter\n" in text
    assert "INGEST_EXPORTER_PATH=/srv/exporter/DiscordChatExporter.Cli" in text
