"""The stack as real processes: crashes, Ctrl-C, kills, and two supervisors on one folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.stack.processes import kill
from ingest_pipeline_tests.cli_runs import Cli

PATIENCE_SECONDS = 90.0
PROGRAM = Path(__file__).with_name("supervised_program.py")


@contextmanager
def supervised(folder: Path, *parts: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run parts under a supervisor that leads a session, and leave nothing of it behind."""
    with (folder / "console.txt").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), *parts],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE_SECONDS)
        finally:
            kill(process.pid)
            process.wait()


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def pids(folder: Path, name: str) -> list[int]:
    """Read the process ids that a part or its children wrote down, oldest first."""
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_running(process: int) -> bool:
    """Return whether a process lives; one that is dead but unreaped does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def none_running(folder: Path, *names: str) -> bool:
    """Return whether every process that was written down is gone."""
    return not any(is_running(process) for name in names for process in pids(folder, name))


def supervisors_are_gone(folder: Path) -> bool:
    """Return whether neither a supervisor nor its reaper holds a folder."""
    with (folder / "supervisor.lock").open("a") as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def test_ctrl_c_stops_every_part_with_its_children_and_ends_with_zero(tmp_path: Path) -> None:
    """One Ctrl-C ends parts and grandchildren in order, and the exit code says so."""
    family = "sleep 100 & echo $! >> child; echo $$ >> parent; wait"
    with supervised(tmp_path, f"family={family}", "single=echo $$ >> single; exec sleep 100") as process:
        wait_for(lambda: pids(tmp_path, "parent") and pids(tmp_path, "single"), "the parts")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert none_running(tmp_path, "parent", "child", "single")
    assert "stopped" in (tmp_path / "console.txt").read_text()


def test_a_crashed_part_is_started_again_while_the_others_run_on(tmp_path: Path) -> None:
    """A kill -9 of one part brings it back, is logged, and touches no other part."""
    with supervised(
        tmp_path, "fragile=echo $$ >> fragile; exec sleep 100", "other=echo $$ >> other; exec sleep 100"
    ) as process:
        wait_for(lambda: pids(tmp_path, "fragile") and pids(tmp_path, "other"), "the parts")
        os.kill(pids(tmp_path, "fragile")[0], signal.SIGKILL)
        wait_for(lambda: len(pids(tmp_path, "fragile")) == 2, "the second start")
        assert is_running(pids(tmp_path, "fragile")[1])
        assert len(pids(tmp_path, "other")) == 1
        assert is_running(pids(tmp_path, "other")[0])
        assert process.poll() is None
    assert "fragile ended with signal SIGKILL" in (tmp_path / "console.txt").read_text()
    assert none_running(tmp_path, "fragile", "other")


def test_children_of_a_crashed_part_are_gone_before_it_starts_again(tmp_path: Path) -> None:
    """What a dead part had started never meets its successor."""
    family = "sleep 100 & echo $! >> child; echo $$ >> parent; wait"
    with supervised(tmp_path, f"family={family}"):
        wait_for(lambda: pids(tmp_path, "parent"), "the part")
        os.kill(pids(tmp_path, "parent")[0], signal.SIGKILL)
        wait_for(lambda: len(pids(tmp_path, "parent")) == 2, "the second start")
        assert not is_running(pids(tmp_path, "child")[0])
    assert none_running(tmp_path, "parent", "child")


def test_a_home_that_is_deleted_is_made_again_and_every_part_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran in the deleted folder ends first; also when somebody has put another folder in its place."""
    home = tmp_path / "dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    parts = (f"{name}=echo $$ >> ../{name}; exec sleep 100" for name in ("one", "two"))
    with supervised(tmp_path, *parts) as process:
        for count in (2, 3):
            wait_for(lambda count=count: len(pids(tmp_path, "two")) == count - 1, "the parts")
            wait_for(lambda count=count: len(pids(tmp_path, "one")) == count - 1, "the parts")
            shutil.rmtree(home)
            if count == 3:
                home.mkdir()
            wait_for(lambda count=count: len(pids(tmp_path, "two")) == count, "the next start")
            wait_for(lambda count=count: len(pids(tmp_path, "one")) == count, "the next start")
            assert not any(is_running(pids(tmp_path, name)[count - 2]) for name in ("one", "two"))
            assert {"dagster.yaml", "workspace.yaml"} <= {path.name for path in home.iterdir()}
        assert process.poll() is None
    assert "Dagster's home was deleted" in (tmp_path / "console.txt").read_text()
    assert none_running(tmp_path, "one", "two")


def test_a_second_ctrl_c_kills_what_does_not_stop(tmp_path: Path) -> None:
    """A part deaf to requests ends with the second Ctrl-C, without the grace time."""
    deaf = "trap '' TERM INT; echo $$ >> deaf; while :; do sleep 100; done"
    with supervised(tmp_path, f"deaf={deaf}") as process:
        wait_for(lambda: pids(tmp_path, "deaf"), "the part")
        process.send_signal(signal.SIGINT)
        wait_for(lambda: "stopping" in (tmp_path / "console.txt").read_text(), "the first answer")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 130
    assert none_running(tmp_path, "deaf")
    assert "killed deaf" in (tmp_path / "console.txt").read_text()


def test_killing_the_supervisor_leaves_no_process_and_frees_the_folder(tmp_path: Path) -> None:
    """After kill -9 of the supervisor its parts end too, and the next start waits for that."""
    part = "part=echo $$ >> part; exec sleep 100"
    with supervised(tmp_path, part) as first:
        wait_for(lambda: pids(tmp_path, "part"), "the part")
        first.kill()
        first.wait()
        with supervised(tmp_path, part):
            wait_for(lambda: len(pids(tmp_path, "part")) == 2, "the next supervisor's part")
            assert not is_running(pids(tmp_path, "part")[0])
    assert none_running(tmp_path, "part")


def test_a_supervisor_that_is_killed_as_it_starts_a_part_leaves_no_process(tmp_path: Path) -> None:
    """The part itself has said that it lives; nobody else had the time to."""
    program = """
import os, signal, sys
from pathlib import Path
from ingest_pipeline.stack.restarter import Child
from ingest_pipeline.stack.lock import OrphanReaper, hold_folder
folder = Path(sys.argv[1])
reaper = OrphanReaper(hold_folder(folder))
command = ("/bin/sh", "-c", "echo $$ >> part; exec sleep 100")
Child(command, environment={}, folder=folder, reports=reaper.reports, on_line=print)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=PROJECT_ROOT, check=False)
    wait_for(lambda: supervisors_are_gone(tmp_path), "the end of the reaper")
    assert none_running(tmp_path, "part")


def test_a_second_supervisor_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """The second one names the first one's process and the ways out."""
    with supervised(tmp_path, "part=echo $$ >> part; exec sleep 100") as first:
        wait_for(lambda: pids(tmp_path, "part"), "the part")
        with supervised(tmp_path) as second:
            assert second.wait(timeout=PATIENCE_SECONDS) == 3
        assert first.poll() is None
    text = (tmp_path / "console.txt").read_text()
    assert f"already running on {tmp_path} as process {first.pid}" in text
    assert "INGEST_DATA_DIR" in text


@pytest.mark.parametrize("option", [["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--dem"]])
def test_wrong_usage_is_refused(option: list[str], tmp_path: Path) -> None:
    """A wrong port or an unknown option ends with usage, before anything is touched."""
    outcome = Cli(tmp_path)("start", *option)
    assert outcome.code == 2
    assert "Usage: ingest start" in outcome.stderr


@pytest.mark.parametrize("variable", ["DISCORD_OAUTH_TOKEN", "DISCORD_BOT_TOKEN"])
def test_a_port_in_use_is_named_with_the_remedy(variable: str, tmp_path: Path) -> None:
    """The message names the port and the option to change it, and nothing is started, no demo either."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = Cli(tmp_path, {variable: "invented-token"})("start", "--port", str(port))
    assert outcome.code == 3
    assert f"port {port}" in outcome.stderr
    assert "--port" in outcome.stderr
    assert not (tmp_path / "data" / "dagster").exists()
    assert not (tmp_path / "data" / "demo").exists()


def test_an_address_of_the_network_needs_the_word_that_nobody_is_asked_who_they_are(tmp_path: Path) -> None:
    """The message names it, and nothing is started; with it, the next obstacle is the port."""
    everywhere = "0.0.0.0"  # noqa: S104 - nothing comes to listen
    refused = Cli(tmp_path)("demo", "--host", everywhere)
    assert (refused.code, "add --without-login" in refused.stderr) == (3, True)
    assert [path.name for path in (tmp_path / "data" / "demo").iterdir() if path.is_dir()] == []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        outcome = Cli(tmp_path)("demo", "--host", everywhere, "--without-login", "--port", port)
    assert (outcome.code, f"port {port}" in outcome.stderr) == (3, True)


def test_an_unwritable_data_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A data folder that cannot be made is no traceback."""
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    outcome = Cli(tmp_path, {"INGEST_DATA_DIR": str(obstacle / "data")})("start")
    assert outcome.code == 3
    assert "INGEST_DATA_DIR" in outcome.stderr
