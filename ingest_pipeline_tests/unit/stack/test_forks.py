"""Services as forks: what a supervisor may rely on, with the real fork server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.stack.forks import ServiceForks, can_fork
from ingest_pipeline.stack.restarter import Child

SERVICE = """
import os, sys, time
print(os.getpid() == os.getsid(0), os.getcwd(), sys.argv[1], os.environ["CHOSEN"], __name__, flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
sys.exit(7)
"""


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not can_fork(), reason="services are forks on Linux alone")
def test_a_service_is_a_fork_with_a_session_output_and_exit_code_of_its_own(tmp_path: Path) -> None:
    """And goes on, still watched, when the process dies that it is a fork of."""
    (tmp_path / "service.py").write_text(SERVICE)
    environment = {**os.environ, "CHOSEN": "blue", "PYTHONPATH": str(PROJECT_ROOT)}
    forks = ServiceForks(environment, tmp_path)
    reader, reports = os.pipe()
    lines: list[str] = []

    def start(argument: str) -> Child:
        command = ("python", "-m", "service", argument)
        return Child(
            command, environment={}, folder=tmp_path, reports=reports, on_line=lines.append, forks=forks
        )

    try:
        wait_for(lambda: forks.is_ready() or forks.is_gone())
        brief, lasting = start("end"), start("wait")
        wait_for(lambda: brief.exit_code() is not None and len(lines) == 2)
        assert brief.exit_code() == 7
        assert sorted(lines) == [f"True {tmp_path} {each} blue __main__\n" for each in ("end", "wait")]
        announced = os.read(reader, 1000).decode().split()
        assert sorted(announced) == sorted(f"+{child.leader}" for child in (brief, lasting))

        os.kill(forks.process_id, signal.SIGKILL)
        wait_for(forks.is_gone)
        assert lasting.exit_code() is None
        with pytest.raises(ConfigurationError, match="fork server"):
            start("again")
        os.kill(lasting.leader, signal.SIGKILL)
        wait_for(lambda: lasting.exit_code() is not None)
    finally:
        forks.stop()
        for end in (reader, reports):
            os.close(end)
