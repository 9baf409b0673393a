"""Pauses of Dagster's processes between two looks whether something has changed.

None of it has a setting in Dagster 1.13.
"""

from dagster._grpc import server_watcher
from grpc import _common

# The code server is asked each second, over a connection made for it, whether it is another one.
WATCH_CODE_SERVER_SECONDS = 5
# A server that waits for its end wakes ten times a second, for the sake of Python 2 (grpc 1.x, _common.py).
WAIT_FOR_END_SECONDS = 5.0


def watch_less_often() -> None:
    """Let this process notice a new code server within five seconds."""
    server_watcher.WATCH_INTERVAL = WATCH_CODE_SERVER_SECONDS


def wait_in_longer_steps() -> None:
    """Let a gRPC server of this process wait for its end in steps of five seconds; a signal ends a step."""
    _common.MAXIMUM_WAIT_TIMEOUT = WAIT_FOR_END_SECONDS
