"""Process groups: a process with everything it started, inspected and signalled together.

A part of the stack leads a process group and a session of its own. What it starts may found further
groups (an exporter run does), yet stays in the session: so stopping starts with the group and ends
with the session. The standard library is enough here, because the warden imports nothing else.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


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
    """Tell whether anything the leader started still lives.

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
