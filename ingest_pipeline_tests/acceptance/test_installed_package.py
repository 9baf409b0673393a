"""The package without a checkout: a wheel, installed into an empty environment and run elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline_tests.cli_runs import OURS

WAIT_SECONDS = 180
LOCATIONS = """
query { workspaceOrError { ... on Workspace { locationEntries {
  name locationOrLoadError { __typename ... on RepositoryLocation { repositories { assetNodes { id } } } }
} } } }
"""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Installed:
    """The package in an environment of its own.

    Attributes:
        wheel: What it was installed from.
        python: The environment's interpreter.
        packages: The environment's folder of packages.
        home: The home folder of its user.
        folder: The current folder of what is run: empty, and no checkout.
    """

    wheel: Path
    python: Path
    packages: Path
    home: Path
    folder: Path

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / ".local" / "share" / "ingest-pipeline"

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """Start a module with arguments."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "XDG_"))}
        kept.pop("PYTHONPATH", None)
        return subprocess.Popen(
            [str(self.python), "-m", *command],
            cwd=self.folder,
            env={**kept, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            **more,
        )

    def run(self, *command: str) -> str:
        """Run a module with arguments and return what it writes to both streams."""
        with self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output, _ = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 0, output
        return output

    @contextmanager
    def running(self, *command: str) -> Iterator[Callable[[str, Callable[[], Any]], Any]]:
        """Run a program until the context ends, which must stop it orderly, and give a way to wait for it."""
        log = self.home / "log"
        with log.open("w") as output:
            process = self.start(*command, stdout=output, stderr=subprocess.STDOUT)

        def wait(what: str, condition: Callable[[], Any]) -> Any:
            end = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < end:
                assert process.poll() is None, log.read_text()
                with suppress(OSError):
                    if found := condition():
                        return found
                time.sleep(0.5)
            pytest.fail(f"{what} did not happen:\n{log.read_text()[-5000:]}")

        try:
            yield wait
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)

    def files(self) -> set[Path]:
        """Return the files of the environment's folder of packages."""
        return {path for path in self.packages.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this source, installed; what it needs is taken from the packages that are there."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(
        PROJECT_ROOT / "ingest_pipeline",
        source / "ingest_pipeline",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(PROJECT_ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    alone = ["--no-index", "--no-deps"]
    build = [*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", *alone, str(wheel)], check=True)
    packages = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    # After the installation, or pip would take the package of this environment for installed.
    (packages / "present.pth").write_text(sysconfig.get_path("purelib"))
    for name in ("home", "elsewhere"):
        (folder / name).mkdir()
    return Installed(wheel, python, packages, folder / "home", folder / "elsewhere")


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_wheel_has_every_file_of_the_package(installed: Installed) -> None:
    """Statements, pages, settings, the driver table and the mark of types among them, and the licence."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        found = set(wheel.namelist())
    package = PROJECT_ROOT / "ingest_pipeline"
    wanted = {
        str(path.relative_to(PROJECT_ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= found
    rest = {name.partition("/")[2] for name in found - wanted}
    assert {"METADATA", "licenses/LICENSE", "entry_points.txt"} <= rest
    assert not [name for name in found - wanted if ".dist-info/" not in name]


def test_its_commands_name_commands_that_exist(installed: Installed) -> None:
    """Nothing that a new user reads speaks of a script of the checkout, and files are in the data folder."""
    version = installed.run("ingest_pipeline.cli.app", "--version").split()[1]
    assert f"-{version}-" in installed.wheel.name
    with installed.start("ingest_pipeline.cli.app", "doctor", stdout=subprocess.PIPE) as process:
        checks, _ = process.communicate(timeout=WAIT_SECONDS)
    text = checks + installed.run("ingest_pipeline.cli.app", "--help")
    assert "start.sh" not in text
    assert {name.split()[0] for name in re.findall(r"`([^`]+)`", text)} == {"ingest"}
    assert str(installed.data) in checks
    assert (installed.data / "ingest.duckdb").is_file()


def test_the_demo_runs_until_rows_are_there(installed: Installed) -> None:
    """Its data is in the user's data folder, and nothing is written beside the code."""
    before = installed.files()
    ports = ("--port", str(free_port()), "--api-port", str(free_port()))
    demo = installed.data / "demo"

    def stored() -> list[dict[str, Any]]:
        if not (demo / "ingest.duckdb").exists():
            return []
        sessions = json.loads(ingest(demo, "sessions", "list", "--json"))["sessions"]
        live = sessions[-1]["session_id"] if sessions else ""
        found = json.loads(ingest(demo, "messages", "--session-id", live, "--json")) if live else {}
        return list(found.get("messages", []))

    def ingest(folder: Path, *arguments: str) -> str:
        return (
            subprocess.run(
                [installed.python, "-m", "ingest_pipeline.cli.app", *arguments],
                cwd=folder,
                env={"HOME": str(installed.home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                text=True,
                check=False,
                timeout=WAIT_SECONDS,
            ).stdout
            or "{}"
        )

    with installed.running("ingest_pipeline.cli.app", "demo", *ports) as wait:
        assert wait("the first row", stored)
    assert (demo / "dagster" / "dagster.yaml").is_file()
    assert installed.files() == before
    assert list(installed.folder.iterdir()) == []


def test_dagster_loads_it_as_a_module(installed: Installed) -> None:
    """As `dagster definitions validate -m` and `dagster dev -m`, in any folder."""
    module = ("-m", "ingest_pipeline.definitions")
    assert "All code locations passed validation" in installed.run(
        "dagster", "definitions", "validate", *module
    )
    port = free_port()

    def locations() -> Any:
        body = json.dumps({"query": LOCATIONS}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())["data"]["workspaceOrError"]["locationEntries"]

    with installed.running("dagster", "dev", *module, "-p", str(port)) as wait:
        (location,) = wait("the web interface", locations)
        assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location
        assert location["locationOrLoadError"]["repositories"][0]["assetNodes"]
