"""A supervisor over parts given on the command line, for tests that need one as a process of its own.

Usage: supervised_program.py FOLDER NAME=SHELL_COMMAND…
With DAGSTER_HOME in the environment the parts run there, and it is made again when it is deleted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ingest_pipeline.errors import IngestError
from ingest_pipeline.stack.dagster_home import WatchedHome, prepare_dagster_home
from ingest_pipeline.stack.lock import OrphanReaper, hold_folder
from ingest_pipeline.stack.services import ServiceSpec
from ingest_pipeline.stack.supervisor import Console, StopRequest, Supervisor


def main() -> int:
    """Run the parts until stopped; 0 after an orderly stop, 130 after a kill, 3 when refused."""
    folder = Path(sys.argv[1])
    parts = [
        ServiceSpec(name, ("/bin/sh", "-c", command))
        for name, command in (argument.split("=", 1) for argument in sys.argv[2:])
    ]
    stop = StopRequest()
    stop.listen()
    try:
        lock = hold_folder(folder)
    except IngestError as error:
        sys.stdout.write(f"{error}\n")
        return int(error.exit_code)
    reaper = OrphanReaper(lock)
    chosen = os.environ.get("DAGSTER_HOME")
    home = chosen and WatchedHome(lambda: prepare_dagster_home(Path(chosen), os.environ))
    supervisor = Supervisor(
        parts,
        environment=os.environ,
        folder=Path(chosen or folder),
        home=home or None,
        console=Console(sys.stdout, folder),
        reaper=reaper,
        on_ready=lambda _: None,
    )
    try:
        return 0 if supervisor.run(stop) else 130
    finally:
        reaper.dismiss()


if __name__ == "__main__":
    sys.exit(main())
