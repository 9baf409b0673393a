"""Waiting for something to happen, with a bound, in place of waiting for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 240.0
_LOOK_SECONDS = 0.05


def wait_until(
    what: str,
    condition: Callable[[], Found],
    seconds: float = PATIENCE_SECONDS,
    look_seconds: float = _LOOK_SECONDS,
) -> Found:
    """Return what a condition gives as soon as it is true.

    Args:
        what: What is waited for, for the error message.
        condition: Asked again and again; an assertion in it ends the wait.
        seconds: The longest wait.
        look_seconds: The pause between two looks.

    Raises:
        TimeoutError: It did not come true.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(look_seconds)
    return found
