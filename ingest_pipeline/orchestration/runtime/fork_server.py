"""The process that the stack's services are forks of; `stack/forks.py` asks it.

It has imported what they need, has one thread, and opens nothing but the socket to the supervisor, whose end
is its own.
"""

import json
import os
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from ingest_pipeline.orchestration.runtime.prepared import freeze
from ingest_pipeline.private_files import keep_files_private
from ingest_pipeline.stack.forks import LONGEST_PACKET_BYTES

# Not the modules of the services themselves, which are executed as programs. One that is not there any more
# is passed over.
_SHARED = (
    "dagster._cli.api",
    "dagster._daemon.cli",
    "dagster._daemon.controller",
    "dagster._grpc.server",
    "dagster_graphql.schema",
    "dagster_webserver.app",
    "dagster_webserver.cli",
    "ingest_pipeline.api.app",
    "uvicorn",
)


def main() -> None:
    """Fork whenever asked to, and be the service in the fork."""
    keep_files_private()
    supervisor = socket.socket(fileno=int(sys.argv[1]))
    for module in _SHARED:
        with suppress(ImportError):
            import_module(module)
    freeze()
    request = _serve(supervisor)
    if request is None:
        # Nothing here has to be put in order.
        os._exit(0)
    _run(*request)


def _serve(supervisor: socket.socket) -> tuple[str, list[str]] | None:
    """Return in each fork with what it is to run; in this process when the supervisor is gone."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    # Ctrl-C is for the supervisor, which asks the services to stop one by one.
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGCHLD)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    with supervisor, selectors.DefaultSelector() as selector, suppress(BrokenPipeError):
        selector.register(supervisor, selectors.EVENT_READ)
        selector.register(reader, selectors.EVENT_READ)
        supervisor.send(b"ready")
        while True:
            heard = {key.fileobj for key, _ in selector.select()}
            if reader in heard:
                os.read(reader, LONGEST_PACKET_BYTES)
                _report_ended(supervisor)
            if supervisor not in heard:
                continue
            packet, descriptors, _, _ = socket.recv_fds(supervisor, LONGEST_PACKET_BYTES, 2)
            if not packet:
                return None
            process = os.fork()
            if not process:
                signal.set_wakeup_fd(-1)
                for number, handler in before.items():
                    signal.signal(number, handler)
                for end in (reader, writer):
                    os.close(end)
                stated = json.loads(packet)
                _take_over(stated["folder"], *descriptors)
                return stated["module"], stated["arguments"]
            supervisor.send(f"started {process}".encode())
            for descriptor in descriptors:
                os.close(descriptor)
    return None


def _report_ended(supervisor: socket.socket) -> None:
    with suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            supervisor.send(f"ended {process} {os.waitstatus_to_exitcode(status)}".encode())


def _take_over(folder: str, reports: int, output: int) -> None:
    """Lead a session, report that this process lives, and write to where the service's output goes."""
    os.setsid()
    # By its name: this process's own may have been deleted since, and made again.
    os.chdir(folder)
    # Without a reader nobody has to know.
    with suppress(OSError):
        os.write(reports, f"+{os.getpid()}\n".encode())
    os.close(reports)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)


def _run(module: str, arguments: list[str]) -> None:
    # The name that `top` and `ps -o comm` show; the command line stays that of this program.
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"ingest-{module.rpartition('.')[2]}", encoding="ascii")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
