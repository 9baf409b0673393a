"""What a run prints is in its file and on the console, without further processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ingest_pipeline.installation import PROJECT_ROOT

PROGRAM = """
import os, sys
from ingest_pipeline.orchestration.runtime.captured_output import mirror_to_file
with mirror_to_file(sys.stdout, sys.argv[1]):
    print("by Python", flush=True)
    os.system("echo by a program")
    print("children:", open(f"/proc/self/task/{os.getpid()}/children").read())
print("afterwards")
"""


def test_output_is_in_the_file_and_on_the_console(tmp_path: Path) -> None:
    """In its order, that of programs included; what comes afterwards is on the console alone."""
    file = tmp_path / "logs" / "run.out"
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    first, second, processes = file.read_text().splitlines()
    assert (first, second) == ("by Python", "by a program")
    assert processes.split()[1:] == []
    assert shown == file.read_text() + "afterwards\n"
