"""The code server that webserver and daemon share, started after cleaning up after its predecessor.

Runs are processes of their code server's group. When it dies, Dagster goes on believing that they run:
they hold their places in the queue and in concurrency pools until the longest run time is over, and a
sensor that waits for a run in progress waits as long. At this point, though, the truth is known: the
supervisor has ended everything the predecessor started, so no run launched through this socket can
be alive.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import runpy
import sys
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
from dagster._grpc import server

from ingest_pipeline.orchestration.runtime.sqlite_storage import reuse_engines
from ingest_pipeline.private_files import keep_files_private

CODE_LOCATION = "ingest_pipeline.definitions"
# Dagster's name for where a run was launched (GRPC_INFO_TAG, dagster 1.13, core/storage/tags.py).
LAUNCHED_THROUGH = ".dagster/grpc_info"
UNFINISHED = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)

_PREPARED = "ingest_pipeline.orchestration.runtime.prepared"

_logger = logging.getLogger(__name__)


def settle_abandoned_runs(instance: dg.DagsterInstance, code_socket: Path) -> list[str]:
    """End in the records the runs whose process ended with an earlier server on this socket.

    A failed run may be retried by Dagster's own run retries; a canceling one becomes canceled.

    Args:
        instance: The Dagster instance that holds the runs.
        code_socket: The socket through which they were launched.

    Returns:
        Their run ids.
    """
    settled = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(UNFINISHED))):
        run = record.dagster_run
        if json.loads(run.tags.get(LAUNCHED_THROUGH, "{}")).get("socket") != str(code_socket):
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message="The run's process ended with its code server.")
        else:
            instance.report_run_failed(run, message="The run's process ended with its code server.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        settled.append(run.run_id)
    return settled


def start_runs_as_forks() -> None:
    """Let the runs of this process's server be forks of one process that has imported everything.

    Dagster 1.13 starts each run in a fresh interpreter and has no setting for it (`_mp_ctx` in
    dagster/_grpc/server.py); more than half of a live tick's run was imports. The server's module is given
    another way to start processes, by the name it asks for. The fork server has one thread and opens
    nothing, so forking is safe; where Python does not count on that, as on macOS, all stays as it was.
    """
    if sys.platform != "linux":
        return
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([_PREPARED])
    vars(server)["multiprocessing"] = SimpleNamespace(get_context=lambda _method: forks)
    # Begun now, so that the first run finds it ready.
    forkserver.ensure_running()


def main() -> None:
    """Settle abandoned runs, then serve the code location on the socket named on the command line."""
    keep_files_private()
    reuse_engines()
    code_socket = Path(sys.argv[1])
    with dg.DagsterInstance.get() as instance:
        settled = settle_abandoned_runs(instance, code_socket)
    if settled:
        _logger.warning(
            "ended %d runs that an earlier code server left: %s", len(settled), ", ".join(settled)
        )
    start_runs_as_forks()
    # Serving through Dagster's own command, in this process: it is imported only once.
    sys.argv = ["dagster", "api", "grpc", "-m", CODE_LOCATION, "-s", str(code_socket)]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
