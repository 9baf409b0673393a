"""Kill, restart, compare: the trials that the tests sample and that `kill_sweep.py` makes in full."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Self

from ingest_pipeline_tests.acceptance.sweeps.actions import ingest, materialise, tick
from ingest_pipeline_tests.acceptance.sweeps.boundaries import Boundary, Passed
from ingest_pipeline_tests.acceptance.sweeps.children import Child, Ended
from ingest_pipeline_tests.acceptance.sweeps.sandbox import (
    AFTER,
    FIRST,
    LATER,
    POLL,
    SESSION_ID,
    Ground,
    Tables,
    merged,
    proven,
    unlike_the_channel,
    without,
)

# A process for each core.
AT_ONCE = 2
# A run may pass fewer boundaries than another: it waited less often for its exporter.
OVER_BEFORE = "over before"


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is killed.

    Attributes:
        name: What to call it.
        action: Of `actions.py`.
        arguments: For it.
        now: When it happens.
    """

    name: str
    action: Callable[..., None]
    arguments: tuple[str, ...]
    now: datetime

    def on(self, ground: Ground, boundary: Boundary | None = None, **environment: str) -> Ended:
        """Show the channel as it is then, do it, up to a boundary if one is given, and wait for its end."""
        ground.show(self.now)
        return self.start_on(ground, boundary, **environment).ended()

    def start_on(self, ground: Ground, boundary: Boundary | None = None, **environment: str) -> Child:
        """Begin to do it."""
        return ground.start(self.action, *self.arguments, now=self.now, boundary=boundary, **environment)


POLLING = Work("poll", ingest, ("poll-recent-messages",), POLL)
BACKFILLING = Work("backfill", ingest, ("backfill", "--session-id", SESSION_ID), AFTER)
TICKING = Work("tick", tick, (), POLL)
MATERIALISING = Work("run", materialise, (SESSION_ID, "T+000m", "T+015m"), AFTER)
WORKS = {work.name: work for work in (POLLING, BACKFILLING, TICKING, MATERIALISING)}


@dataclass(frozen=True, slots=True)
class Trial:
    """A kill and what became of it.

    Attributes:
        name: Which kill.
        place: Where the process was, or `OVER_BEFORE`.
        found: What the tables were like at once: `before` the work, `after` it, or `between`.
        wrong: What is not as it would be without the kill; empty when all is.
    """

    name: str
    place: str
    found: str
    wrong: str


class Unharmed(NamedTuple):
    """What a work does when nothing is in its way: the boundaries that it passes, the tables around it."""

    passed: Passed
    before: Tables
    after: Tables

    @classmethod
    def of(cls, work: Work, template: Ground, ground: Ground) -> Self:
        """Do a work on a ground that is a copy of a template."""
        counted = work.on(ground, Boundary())
        assert counted.code == 0, counted
        done = cls(Passed.reported(counted.boundary), _of_all_runs(template), _of_all_runs(ground))
        assert merged(done.after) != merged(done.before)
        return done


# By the work and the folder of the deployment that it begins with.
_unharmed: dict[tuple[Work, Path], Unharmed] = {}


class Trials:
    """Trials of one work on copies of a deployment.

    Args:
        work: What is killed.
        template: The deployment as it is before; left as it is.
        copies: Deployments for the trials, on the same engine; a trial at a time each.
    """

    def __init__(self, work: Work, template: Ground, copies: Sequence[Ground]) -> None:
        """Do the work once without a kill, unless it was done before: every trial must end like that."""
        self.work = work
        self._template = template
        self._free: SimpleQueue[Ground] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)
        key = (work, template.folder)
        if key not in _unharmed:
            with self._copy() as ground:
                _unharmed[key] = Unharmed.of(work, template, ground)
        self.passed, self._before, self._after = _unharmed[key]

    def run(self, boundaries: Iterable[tuple[str, Boundary]], *, fault: str | None = None) -> Iterator[Trial]:
        """Kill at each of some boundaries, a few at a time, and yield what became of it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda each: self.one(*each, fault=fault), boundaries)

    def one(self, name: str, boundary: Boundary, *, fault: str | None = None) -> Trial:
        """Kill at one boundary, look, restart at the same time, and compare everything."""
        with self._copy() as ground:
            ground.show(self.work.now, fault=fault)
            ended = self.work.start_on(ground, boundary).ended()
            if ended.code == 0 and boundary.number:
                return Trial(name, OVER_BEFORE, self.found_in(ground), self.wrong_after(ground))
            if ended.code != -signal.SIGKILL:
                return Trial(name, ended.boundary, "", f"not killed: {ended}")
            return Trial(name, ended.boundary, self.found_in(ground), self.wrong_after(ground))

    def one_and_time_goes_on(self, name: str, boundary: Boundary) -> Trial:
        """Kill at one boundary and poll at a later time; compare with the channel itself."""
        with self._copy() as ground:
            ended = self.work.on(ground, boundary)
            if ended.code != -signal.SIGKILL:
                return Trial(name, ended.boundary, "", f"not killed: {ended}")
            found = self.found_in(ground)
            later = ground.run(ingest, "poll-recent-messages", now=LATER)
            wrong = str(later) if later.code else unlike_the_channel(ground.tables(), LATER, FIRST)
            return Trial(name, ended.boundary, found, wrong)

    def one_in_commit(self, name: str, written: Boundary, delay_seconds: float) -> Trial:
        """Kill some time after the last statement of the transaction: while it commits, or soon after.

        Args:
            name: Of the trial.
            written: The boundary after the last statement.
            delay_seconds: How long the process goes on from there.
        """
        with self._copy() as ground:
            ground.show(self.work.now)
            standing = replace(written, signal_number=signal.SIGSTOP)
            child = self.work.start_on(ground, standing)
            child.wait_until_stopped()
            child.send(signal.SIGCONT)
            time.sleep(delay_seconds)
            child.send(signal.SIGKILL)
            ended = child.ended()
            return Trial(name, ended.boundary, self.found_in(ground), self.wrong_after(ground))

    @contextmanager
    def _copy(self) -> Iterator[Ground]:
        ground = self._free.get()
        try:
            ground.copy_of(self._template)
            yield ground
        finally:
            self._free.put(ground)

    def wrong_after(self, ground: Ground) -> str:
        """Do the work on a ground once more and return what is not as without any fault."""
        again = self.work.on(ground)
        return f"the restart failed: {again}" if again.code else self._differing(_of_all_runs(ground))

    def found_in(self, ground: Ground) -> str:
        """Return whether the tables are as `before` the work or `after` it, or something `between`."""
        return self._like(_of_all_runs(ground))

    def _like(self, tables: Tables) -> str:
        found = merged(tables)
        if found == merged(self._before):
            return "before"
        return "after" if found == merged(self._after) else "between"

    def _differing(self, tables: Tables) -> str:
        return "; ".join(
            f"{table}: {first} instead of {second}"
            for table, rows in tables.items()
            for first, second in [_first_difference(rows, self._after[table])]
            if first != second
        )


def evenly(numbers: Sequence[int], kills: int) -> list[tuple[str, Boundary]]:
    """Return so many of some numbered boundaries, evenly spread, or all when there are fewer."""
    step = max(len(numbers) / kills, 1)
    chosen = [numbers[int(step * (index + 0.5))] for index in range(min(kills, len(numbers)))]
    return [(f"boundary {number}", Boundary(number=number)) for number in chosen]


def _of_all_runs(ground: Ground) -> Tables:
    """Return the tables without what differs between two runs of the same: who it was, and how often."""
    tables = without(ground.tables(), {"correlation_id"})
    tables["coverage"] = [{"low": low, "high": high} for low, high in proven(tables)]
    return tables


def _first_difference(rows: Sequence[object], expected: Sequence[object]) -> tuple[object, object]:
    if len(rows) != len(expected):
        return f"{len(rows)} rows", f"{len(expected)} rows"
    return next(((a, b) for a, b in zip(rows, expected, strict=True) if a != b), (None, None))
