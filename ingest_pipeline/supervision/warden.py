"""The last resort against orphans: stops the parts when the supervisor itself was killed.

A supervisor that gets `kill -9` cannot stop its children. This small process, started in a session
of its own, reads from a pipe which process groups live (`+123`, `-123`). The pipe's end means that
the supervisor is gone: what still lives is asked to stop, and killed when it does not. It also
inherits the supervisor's lock file, so the next start waits until the folder is really free.

Run as a file and importing the standard library alone, it costs a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.1


def watch(lines: Iterable[str], grace_seconds: float = GRACE_SECONDS) -> list[int]:
    """Follow the supervisor's reports until they end, then stop what still lives.

    Args:
        lines: `+<group>` for each started and `-<group>` for each ended process group.
        grace_seconds: Time between the request to stop and the kill.

    Returns:
        The groups that had to be stopped.
    """
    living: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            living.add(group)
        else:
            living.discard(group)
    left = [group for group in sorted(living) if signal_group(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace_seconds
    while any(signal_group(group, 0) for group in left) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
    for group in left:
        signal_group(group, signal.SIGKILL)
    return left


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; 0 only asks whether it exists.

    Args:
        group: The process group's id.
        number: The signal.

    Returns:
        False when the group has no process left. macOS refuses the signal for a group of only
        dead, unreaped processes, which counts as none left too.
    """
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(sys.stdin)
