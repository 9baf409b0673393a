"""A cache for values that many clients poll, refreshed when they are older than some seconds.

On DuckDB that keeps the file free for whoever writes; and while somebody writes for longer than a
request waits, the last value is still told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ingest_pipeline.errors import TransientError

Value = TypeVar("Value")

USABLE_SECONDS = 60.0


class HotValue(Generic[Value]):
    """A value that is looked up when somebody asks for it, unless it is fresh.

    Args:
        look: Looks it up.
        fresh_seconds: How long it is told again without looking.
    """

    def __init__(self, look: Callable[[], Value], fresh_seconds: float) -> None:
        self._look = look
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._held: tuple[Value] | None = None
        self._looked_at = 0.0

    def get(self) -> Value:
        """Return the value.

        Raises:
            TransientError: It cannot be looked up, and the last one is too old to be of use.
        """
        with self._lock:
            age = time.monotonic() - self._looked_at
            if self._held is not None and age < self._fresh_seconds:
                return self._held[0]
            try:
                self._held = (self._look(),)
            except TransientError:
                if self._held is None or age > USABLE_SECONDS + self._fresh_seconds:
                    raise
                return self._held[0]
            self._looked_at = time.monotonic()
            return self._held[0]
