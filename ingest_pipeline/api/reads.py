"""Reads of the HTTP interface: shared by those who ask at once, bounded in time, kept for a moment.

On DuckDB a read keeps writers out, and opening the file costs more than most questions: without this, each
open page would cost every import its share. An answer is kept as the bytes that are sent, until somebody
commits.

A database that is stopped does not refuse: it keeps its clients waiting, and with them every thread and
connection of a pool. So each look-up has a thread of its own, one at a time, and those who ask wait for it
on the event loop.

Values that everybody asks for are kept for some seconds: on DuckDB that keeps the file free for writers,
and while one writes for longer than a request waits, the last value is still served.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from ingest_pipeline.errors import DatabaseUnavailable, IngestError, TransientError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.monitoring.figures import Figures, look_up_figures
from ingest_pipeline.monitoring.status import Status, look_up_status
from ingest_pipeline.storage.engine.database import Database

_MOST_ANSWERS = 64
Value = TypeVar("Value")

FAILURE_SECONDS = 1.0
"""How long a failure is remembered."""
ANSWER_SECONDS = 1.0
SCRAPE_SECONDS = 1.5
"""How long a scrape waits; Prometheus gives up after `scrape_timeout`, 10 s by default."""

_FINISH_SECONDS = 10.0
_STATUS_FRESH_SECONDS = 1.0
_FIGURES_FRESH_SECONDS = 15.0
USABLE_SECONDS = 60.0


class SharedReads:
    """Answers by question, good until the next commit.

    Args:
        database: What is read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._version: Hashable = None
        self._answers: OrderedDict[Hashable, Future[bytes]] = OrderedDict()

    def get(self, question: Hashable, look: Callable[[], BaseModel]) -> Response:
        """Return the answer to a question, looked up by the request that asks first.

        Args:
            question: What is asked, with all that the answer depends on besides the database.
            look: Reads the answer.

        Raises:
            IngestError: Whatever `look` raises, in everybody who asked meanwhile; it is not kept.
        """
        # Before reading: what is committed in between is in the answer and asked for once more.
        version = self._database.version()
        with self._lock:
            if version != self._version:
                self._answers.clear()
                self._version = version
            answer = self._answers.get(question)
            is_first = answer is None
            if answer is None:
                answer = self._answers[question] = Future()
                if len(self._answers) > _MOST_ANSWERS:
                    self._answers.popitem(last=False)
        if is_first:
            self._look_up(question, look, answer)
        return Response(answer.result(), media_type="application/json")

    def _look_up(self, question: Hashable, look: Callable[[], BaseModel], answer: Future[bytes]) -> None:
        try:
            answer.set_result(look().model_dump_json().encode())
        except BaseException as error:
            with self._lock:
                if self._answers.get(question) is answer:
                    del self._answers[question]
            answer.set_exception(error)
            raise


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
                "stopped, unreachable, or held by a long write; this ends as soon as it answers"
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


@dataclass(frozen=True, slots=True)
class Lookups:
    """The results of the look-ups.

    Attributes:
        engine: `duckdb` or `postgres`.
        answer: That the database answers at all: the engine's version.
        status: How everything is.
        figures: What is counted.
    """

    engine: str
    answer: BoundedLookup[str]
    status: BoundedLookup[Status]
    figures: BoundedLookup[Figures]

    def finish(self) -> None:
        """Wait for what is being looked up, for some seconds, before the program ends."""
        deadline = time.monotonic() + _FINISH_SECONDS
        for lookup in (self.answer, self.status, self.figures):
            lookup.finish(max(deadline - time.monotonic(), 0))


def build_lookups(services: Services, now: Callable[[], datetime]) -> Lookups:
    """Return the look-ups of an app; nothing is looked up yet."""
    return Lookups(
        engine=services.database.engine,
        answer=BoundedLookup(lambda: _ask(services.database), patience_seconds=ANSWER_SECONDS),
        status=BoundedLookup(
            lambda: look_up_status(services, now()),
            patience_seconds=SCRAPE_SECONDS,
            fresh_seconds=_STATUS_FRESH_SECONDS,
        ),
        figures=BoundedLookup(
            lambda: look_up_figures(services, now()),
            patience_seconds=SCRAPE_SECONDS,
            fresh_seconds=_FIGURES_FRESH_SECONDS,
        ),
    )


def _ask(database: Database) -> str:
    with database.read() as connection:
        row = connection.fetch_one("server_version")
    return str(row["version"]) if row else ""


class TtlCache(Generic[Value]):
    """A value that is looked up when somebody asks for it, unless it is fresh.

    Args:
        look: Looks it up.
        fresh_seconds: How long it is returned again without looking.
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
