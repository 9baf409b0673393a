"""The status, computed at most once a second however many ask for it.

On DuckDB that keeps the file free for whoever writes; and while somebody writes for longer than a
request waits, the last status is still told, with its time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from ingest_pipeline.errors import TransientError
from ingest_pipeline.status import Status

FRESH_SECONDS = 1.0
USABLE_SECONDS = 60.0


class HotStatus:
    """A status that is looked up again when it is older than a second.

    Args:
        look: Computes it for a time.
        clock: The present, aware UTC.
    """

    def __init__(self, look: Callable[[datetime], Status], clock: Callable[[], datetime]) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._looked_at = 0.0

    def get(self) -> Status:
        """Return the status.

        Raises:
            TransientError: The database cannot be read, and the last status is too old to be of use.
        """
        with self._lock:
            age = time.monotonic() - self._looked_at
            if self._status is not None and age < FRESH_SECONDS:
                return self._status
            try:
                self._status = self._look(self._clock())
            except TransientError:
                if self._status is None or age > USABLE_SECONDS:
                    raise
                return self._status
            self._looked_at = time.monotonic()
            return self._status
