"""Processes of this machine: whose they are, and those that outlived their parent.

A part of the stack leads a process group and a session of its own. What it starts may found further
groups (an exporter run does), yet stays in the session: so stopping starts with the group and ends
with the session. The standard library is enough here, because the reaper imports nothing else.

A supervisor that gets `kill -9` cannot stop its children. This small process, started in a session
of its own, reads from a pipe which parts live (`+123`, written by the part itself) and which are gone
(`-123`). The pipe's end means that the supervisor is gone: what still lives is asked to stop, and killed
when it does not. It also inherits the supervisor's lock file, so the next start waits until the folder is
really free.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
GRACE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1


def ask_to_stop(leader: int) -> None:
    """Send SIGTERM to the leader's process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGTERM)


def kill(leader: int) -> None:
    """Send SIGKILL to the leader's process group and to what else lives in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for process in _session_members(leader):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def is_alive(leader: int) -> bool:
    """Return whether anything the leader started still lives.

    Dead processes that nobody has reaped do not count: in a container without an init they stay
    for ever. Without /proc (macOS) the answer is about the process group alone.
    """
    if _PROC.joinpath("self", "stat").exists():
        return bool(_session_members(leader))
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _session_members(leader: int) -> list[int]:
    """Read the living processes of a session from /proc (proc(5): state is field 3, session 6)."""
    members = []
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, session = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in {"Z", "X"}:
                members.append(int(entry.name))
    return members


def watch(reports: Iterable[str], grace_seconds: float = GRACE_SECONDS) -> list[int]:
    """Follow the supervisor's reports until they end, then stop what still lives.

    Args:
        reports: `+<process id>` of each started and `-<process id>` of each ended part.
        grace_seconds: Time between the request to stop and the kill.

    Returns:
        The parts that had to be stopped.
    """
    parts: set[int] = set()
    for report in reports:
        leader = int(report[1:])
        if report.startswith("+"):
            parts.add(leader)
        else:
            parts.discard(leader)
    left = [leader for leader in sorted(parts) if is_alive(leader)]
    for leader in left:
        ask_to_stop(leader)
    deadline = time.monotonic() + grace_seconds
    while any(is_alive(leader) for leader in left) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
    for leader in left:
        kill(leader)
    return left


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(sys.stdin)
