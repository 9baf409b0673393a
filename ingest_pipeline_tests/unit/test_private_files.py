"""What is written is for the user who runs this, whatever the umask of the shell."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.private_files import is_open_to_others, keep_files_private, make_private_folder
from ingest_pipeline.stack.dagster_home import prepare_dagster_home
from ingest_pipeline.stack.lock import hold_folder
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import message, write_export


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_paths(folder: Path) -> list[str]:
    """Return what others could read or write below a folder, sockets and links aside."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if is_open_to_others(path) and not path.is_symlink()
    )


@pytest.mark.slow
def test_the_commands_write_for_their_user_alone(tmp_path: Path) -> None:
    """The database with its companions, landed files and their folders."""
    cli = Cli(tmp_path)
    # A process of its own: what the tests of a process share would make the file otherwise.
    times = ("--start", "2026-09-06T13:00:00Z", "--end", "2026-09-06T15:00:00Z")
    assert cli.process("sessions", "add", "race", *times).code == 0
    export = write_export(tmp_path / "export.json", [message(10)])
    imported = cli.process("import-messages", "--session-id", "race", "--file", str(export), "--keep-file")
    assert imported.code == 0, imported
    data = tmp_path / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "ingest.duckdb").stat().st_mode) == 0o600
    assert open_paths(data) == []


_DEMO = """
import os, subprocess, sys
from pathlib import Path
from ingest_pipeline.cli.app import app
from ingest_pipeline.stack import start
os.umask(0)
def parts(deployment, settings, lock, options):
    child = "import ingest_pipeline.definitions as d; d.defs(); open('made', 'w').close()"
    home = start.prepare_dagster_home(deployment.data_dir / "dagster", deployment.environment)
    return subprocess.call([sys.executable, "-c", child], cwd=home.folder, env=deployment.environment)
start._run = parts
app(["demo"])
"""


@pytest.mark.slow
def test_the_stack_and_its_parts_write_for_their_user_alone(tmp_path: Path) -> None:
    """The demo, Dagster's home, and what a part makes there; the checkout's own data folder is closed."""
    data = tmp_path / "data"
    (data / "demo").mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT), "INGEST_DATA_DIR": str(data)}
    finished = subprocess.run(
        [sys.executable, "-c", _DEMO],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished
    demo = data / "demo"
    assert (demo / "dagster" / "made").exists()
    assert stat.S_IMODE(demo.stat().st_mode) == 0o700
    assert open_paths(demo) == []


def test_a_folder_that_its_user_has_opened_stays_open(tmp_path: Path) -> None:
    """Only the first start closes it."""
    folder = tmp_path / "data"
    folder.mkdir()
    hold_folder(folder).close()
    assert not is_open_to_others(folder)
    folder.chmod(0o750)
    hold_folder(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_a_folder_in_the_systems_temporary_folder_is_ours_and_closed(tmp_path: Path) -> None:
    """One that is open is closed; one of somebody else, or a link to one, is refused."""
    keep_files_private()
    make_private_folder(tmp_path / "made")
    ours = tmp_path / "ours"
    ours.mkdir()
    ours.chmod(0o777)
    make_private_folder(ours)
    assert open_paths(tmp_path) == []
    (tmp_path / "link").symlink_to(ours)
    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        make_private_folder(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is somebody else's")
def test_a_socket_is_not_put_into_a_folder_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it first could replace the code server."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deep = tmp_path / ("deep" * 40)
    socket = prepare_dagster_home(deep, {}).code_socket
    os.chown(socket.parent, 12345, 12345)
    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        prepare_dagster_home(deep, {})
