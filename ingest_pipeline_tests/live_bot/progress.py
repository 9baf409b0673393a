"""The progress of a long proof, printed while it runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 15.0


def _nothing() -> str:
    return ""


@dataclass
class Progress:
    """What is being done at this moment.

    Attributes:
        title: What it is part of.
        phase: What is being done.
        posted: Returns how far the traffic is.
        began: When it began, on the monotonic clock.
    """

    title: str = ""
    phase: str = ""
    posted: Callable[[], str] = _nothing
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """Return it in one line."""
        parts = (self.title, self.phase, self.posted(), f"{time.monotonic() - self.began:.0f} s")
        return ", ".join(part for part in parts if part)


@contextmanager
def shown(progress: Progress) -> Iterator[Progress]:
    """Show progress on standard error until the block ends: one line that changes, or one now and then."""
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(progress, over), name="progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        over.set()
        thread.join()


def _show(progress: Progress, over: threading.Event) -> None:
    is_terminal = sys.stderr.isatty()
    while not over.wait(_LOOK_SECONDS if is_terminal else _LINE_SECONDS):
        start, end = ("\r\x1b[K", "") if is_terminal else ("", "\n")
        sys.stderr.write(start + progress.line() + end)
        sys.stderr.flush()
    if is_terminal:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
