"""Bounded look-ups: readers of the status wait a limited time, in any state of the database.

A database that is stopped does not refuse: it keeps whoever asks waiting, and with them every thread and
connection of a pool. So each look-up has a thread of its own, one at a time, and those who ask wait for it
on the event loop. What the live page is shown is kept by `hot.py`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from ingest_pipeline.errors import DatabaseUnavailable, IngestError

Value = TypeVar("Value")

FAILURE_SECONDS = 1.0
"""How long a failure is remembered."""


class BoundedLookup(Generic[Value]):
    """A value that is looked up when somebody asks for it; a look-up that takes too long has failed.

    Args:
        look: Looks it up; called in a thread of its own, never twice at a time.
        patience_seconds: How long a look-up may take.
        fresh_seconds: How long its result is given again without looking.
    """

    def __init__(
        self, look: Callable[[], Value], *, patience_seconds: float = 1.0, fresh_seconds: float = 0.5
    ) -> None:
        """Look at nothing yet."""
        self._look = look
        self._patience_seconds = patience_seconds
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._current: Future[Value] | None = None
        self._thread: threading.Thread | None = None
        self._began_at = 0.0
        self._good_until = 0.0
        self._held: tuple[Value] | None = None
        self._held_at = 0.0

    async def get(self, *, held_seconds: float = 0.0) -> Value:
        """Return the value, at most `patience_seconds` after its look-up began.

        Args:
            held_seconds: Up to which age the last value is returned while a look-up takes too long; never
                after one that failed.

        Raises:
            DatabaseUnavailable: The look-up goes on for longer; until it ends this is raised at once.
            IngestError: What the look-up raised, for as long as it is remembered.
        """
        looking, deadline = self._looking()
        if not looking.done():
            waiting = asyncio.wrap_future(looking)
            try:
                await asyncio.wait([waiting], timeout=max(deadline - time.monotonic(), 0))
            finally:
                # This ends the wait alone: a look-up that has begun cannot be cancelled.
                waiting.cancel()
        if not looking.done():
            held = self._held
            if held is not None and time.monotonic() - self._held_at < held_seconds:
                return held[0]
            raise DatabaseUnavailable(
                f"the database has given no answer for {time.monotonic() - self._began_at:.1f} s: it is "
                "stopped, out of reach, or held by a long write; as soon as it answers this is over"
            )
        return looking.result()

    def finish(self, wait_seconds: float) -> None:
        """Wait for a look-up that goes on, within a bound: it must not be cut off by the program's end.

        A thread that is inside DuckDB when the interpreter ends takes the process down with SIGABRT.
        """
        thread = self._thread
        if thread is not None:
            thread.join(wait_seconds)

    def _looking(self) -> tuple[Future[Value], float]:
        """Return the look-up whose result is good now, begun if need be, and when it has failed."""
        with self._lock:
            if self._current is None or (self._current.done() and time.monotonic() >= self._good_until):
                self._current = Future()
                self._current.set_running_or_notify_cancel()
                self._began_at = time.monotonic()
                # A daemon: a server that is frozen must not keep this program from its end.
                self._thread = threading.Thread(target=self._run, args=[self._current], daemon=True)
                self._thread.start()
            return self._current, self._began_at + self._patience_seconds

    def _run(self, looking: Future[Value]) -> None:
        try:
            value = self._look()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            remembered = FAILURE_SECONDS if isinstance(error, IngestError) else 0.0
            self._good_until = time.monotonic() + remembered
            looking.set_exception(error)
        else:
            self._held, self._held_at = (value,), time.monotonic()
            self._good_until = self._held_at + self._fresh_seconds
            looking.set_result(value)
