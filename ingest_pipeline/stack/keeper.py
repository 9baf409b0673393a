"""The restarter of one service: starts it, notices its death, starts it again after a pause.

Nothing here sleeps or waits: the supervisor's loop calls `look` with its clock, which also makes
every decision testable. Pauses double from one second to a minute, and start over once a part has
run well for a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.stack.child import Child, describe_exit
from ingest_pipeline.stack.parts import Part
from ingest_pipeline.stack.processes import ask_to_stop, is_alive, kill

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STABLE_SECONDS = 60.0
LEFTOVER_GRACE_SECONDS = 5.0
LAST_OUTPUT_SECONDS = 1.0


class Reporter(Protocol):
    """Is told which processes of ours are gone; those that live say so themselves (see `Child`)."""

    def ended(self, leader: int) -> None:
        """Note that nothing of a part is left."""


class Keeper:
    """Keeps one part running.

    Args:
        part: What to run.
        start: Starts the part's process.
        say: Takes a line about what happened.
        reporter: Is told of every end.
    """

    def __init__(
        self,
        part: Part,
        *,
        start: Callable[[Part], Child],
        say: Callable[[str], None],
        reporter: Reporter,
    ) -> None:
        self.part = part
        self._start = start
        self._say = say
        self._reporter = reporter
        self._child: Child | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._leftover_deadline: float | None = None

    def look(self, now: float) -> None:
        """Do what is due.

        Args:
            now: A monotonic clock's reading in seconds.
        """
        if self._child is None:
            if now >= self._start_at:
                self._begin(now)
        elif self._child.exit_code() is not None:
            self._after_death(self._child, now)

    def ask_to_stop(self) -> None:
        """Ask the part, and what it started, to end."""
        if self._child is not None:
            ask_to_stop(self._child.leader)

    def kill(self) -> None:
        """End the part, and what it started, at once."""
        if self._child is not None:
            kill(self._child.leader)

    def is_gone(self) -> bool:
        """Tell whether no process of the part is left; forgets it then."""
        if self._child is None:
            return True
        if self._child.exit_code() is None or is_alive(self._child.leader):
            return False
        self._forget(self._child)
        return True

    def _begin(self, now: float) -> None:
        try:
            self._child = self._start(self.part)
        except ConfigurationError as error:
            self._plan_restart(now, str(error))
            return
        self._started_at = now

    def _after_death(self, child: Child, now: float) -> None:
        # What the dead part had started would meet its successor: it is stopped first.
        if self._leftover_deadline is None:
            self._leftover_deadline = now + LEFTOVER_GRACE_SECONDS
            ask_to_stop(child.leader)
        if is_alive(child.leader) and now < self._leftover_deadline:
            return
        kill(child.leader)
        lived = now - self._started_at
        if lived >= STABLE_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self._forget(child)
        code = child.exit_code() or 0
        if code in self.part.final_codes:
            self._say(f"{self.part.name} is off ({describe_exit(code)}): see above; everything else runs")
            self._start_at = float("inf")
            return
        self._plan_restart(now, f"ended with {describe_exit(code)} after {lived:.0f} s")

    def _plan_restart(self, now: float, reason: str) -> None:
        self._say(f"{self.part.name} {reason}; starting it again in {self._pause:.0f} s")
        self._start_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def _forget(self, child: Child) -> None:
        child.finish_reading(LAST_OUTPUT_SECONDS)
        self._reporter.ended(child.leader)
        self._child = None
        self._leftover_deadline = None
