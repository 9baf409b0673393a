"""The orphan reaper: stops the services when the supervisor itself was killed.

A supervisor that gets `kill -9` cannot stop its children. This small process, started in a session
of its own, reads from a pipe which parts live (`+123`, written by the part itself) and which are gone
(`-123`). The pipe's end means that the supervisor is gone: what still lives is asked to stop, and killed
when it does not. It also inherits the supervisor's lock file, so the next start waits until the folder is
really free.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable

from ingest_pipeline.stack.processes import ask_to_stop, is_alive, kill

GRACE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1


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
