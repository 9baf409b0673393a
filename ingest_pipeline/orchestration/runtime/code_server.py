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
import os
import runpy
import socket
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
from dagster._grpc import server

from ingest_pipeline.orchestration.runtime.sqlite_storage import reuse_engines
from ingest_pipeline.orchestration.runtime.waits import wait_in_longer_steps
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
    """Let the runs of this process's server be forks of a process that has prepared everything.

    Dagster 1.13 starts each run in a fresh interpreter and has no setting for it (`_mp_ctx` in
    dagster/_grpc/server.py); more than half of a live tick's run was imports. The server's module is given
    another way to start processes, by the name it asks for. The fork server is itself a fork of this process,
    so that both share what is imported; it has one thread and opens nothing, so forking is safe. Where Python
    does not count on that, as on macOS, all stays as it was.
    """
    if sys.platform != "linux":
        return
    import_module(_PREPARED)
    forks = multiprocessing.get_context("forkserver")
    # For the case that it dies: the next one is started as a program.
    forks.set_forkserver_preload([_PREPARED])
    vars(server)["multiprocessing"] = SimpleNamespace(get_context=lambda _method: forks)
    _fork_fork_server()


def _fork_fork_server() -> None:
    """Do as `multiprocessing.forkserver.ensure_running` does, without a fresh interpreter (Python 3.11)."""
    resource_tracker.ensure_running()
    with socket.socket(socket.AF_UNIX) as listener:
        address: str = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
        listener.bind(address)
        Path(address).chmod(0o600)
        listener.listen()
        alive_reader, alive_writer = os.pipe()
        process = os.fork()
        if not process:
            os.close(alive_writer)
            with suppress(SystemExit):
                forkserver.main(listener.detach(), alive_reader, [])
            os._exit(0)
        os.close(alive_reader)
    vars(forkserver._forkserver).update(  # noqa: SLF001 - it has no other way in
        _forkserver_address=address, _forkserver_alive_fd=alive_writer, _forkserver_pid=process
    )


def main() -> None:
    """Settle abandoned runs, then serve the code location on the socket named on the command line."""
    keep_files_private()
    reuse_engines(of_runs=True)
    wait_in_longer_steps()
    # Before there is anything that a fork must not have.
    start_runs_as_forks()
    code_socket = Path(sys.argv[1])
    with dg.DagsterInstance.get() as instance:
        settled = settle_abandoned_runs(instance, code_socket)
    if settled:
        _logger.warning(
            "ended %d runs that an earlier code server left: %s", len(settled), ", ".join(settled)
        )
    # Serving through Dagster's own command, in this process: it is imported only once.
    sys.argv = ["dagster", "api", "grpc", "-m", CODE_LOCATION, "-s", str(code_socket)]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
