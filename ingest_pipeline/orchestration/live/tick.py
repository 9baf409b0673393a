"""The decision of a live tick, without Dagster.

The coverage ledger says what to read; the only memory a tick leaves is of failures, so that a session
that keeps failing is tried less and less often. That memory may be lost at any time: the next tick
then simply tries.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import WindowGrid
from ingest_pipeline.ingestion.polling import PollPlan, plan_poll
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection

_REMEMBERED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The end of a live run.

    Attributes:
        run_id: Dagster's id of it.
        session_id: The session it read.
        ended_at: Aware UTC.
        error: First line of what went wrong, or None when it succeeded.
    """

    run_id: str
    session_id: str
    ended_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Failing:
    """A session whose latest live runs all failed.

    Attributes:
        failures: How many in a row.
        failed_at: End of the last one, aware UTC.
        error: First line of its error.
    """

    failures: int
    failed_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class TickState:
    """The state that a tick leaves for the next.

    Attributes:
        failing: By session id.
        last_run_id: The latest live run whose outcome is taken into account.
    """

    failing: dict[str, Failing] = field(default_factory=dict)
    last_run_id: str | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "TickState":
        """Read a sensor's cursor; one that cannot be read is as good as none."""
        try:
            stated = json.loads(cursor or "{}")
            failing = {
                str(session_id): Failing(int(failures), datetime.fromisoformat(failed_at), str(error))
                for session_id, (failures, failed_at, error) in stated.get("failing", {}).items()
            }
            last_run_id = stated.get("last_run_id")
        except (ValueError, TypeError, AttributeError):
            return cls()
        if any(each.failed_at.tzinfo is None for each in failing.values()):
            return cls()
        return cls(failing, last_run_id if isinstance(last_run_id, str) else None)

    def to_cursor(self) -> str:
        """Write the state as a sensor's cursor."""
        failing = {
            session_id: [each.failures, each.failed_at.isoformat(), each.error]
            for session_id, each in self.failing.items()
        }
        return json.dumps({"failing": failing, "last_run_id": self.last_run_id})

    def after(self, outcomes: Iterable[RunOutcome], now: datetime) -> "TickState":
        """Return the state that follows from runs that ended since, in their order."""
        failing = {
            session_id: each
            for session_id, each in self.failing.items()
            # Absolute: after a clock was set back a failure may lie in the future, and is forgotten, too.
            if abs(now - each.failed_at) < _REMEMBERED
        }
        last_run_id = self.last_run_id
        for outcome in outcomes:
            last_run_id = outcome.run_id
            before = failing.pop(outcome.session_id, None)
            if outcome.error is not None:
                count = before.failures + 1 if before else 1
                failing[outcome.session_id] = Failing(count, outcome.ended_at, outcome.error)
        return replace(self, failing=failing, last_run_id=last_run_id)

    def waiting(self, now: datetime, settings: Settings) -> dict[str, timedelta]:
        """Return how long each failing session still has to wait.

        The first failure waits for nothing but the next tick; from then on the pause doubles up to
        `max_backoff_seconds`. A clock that was set back counts as if the pause were over.
        """
        left = {
            session_id: pause(each.failures, settings) - (now - each.failed_at)
            for session_id, each in self.failing.items()
            if now >= each.failed_at
        }
        return {session_id: rest for session_id, rest in left.items() if rest > timedelta()}


def pause(failures: int, settings: Settings) -> timedelta:
    """Return how long to wait after a number of failures in a row."""
    # One failure is often chance, and costs a live session a poll already.
    if failures <= 1:
        return timedelta(0)
    backoff = Backoff(2 * settings.poll_interval_seconds, settings.max_backoff_seconds)
    return timedelta(seconds=backoff.delay(failures - 1))


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of a tick: the windows to read, or the reason for none.

    Attributes:
        plan: What to read; its keys are empty when nothing is read.
        skip_reason: Why nothing is read, or None.
        warnings: What an operator should know.
    """

    plan: PollPlan = field(default_factory=PollPlan)
    skip_reason: str | None = None
    warnings: tuple[str, ...] = ()


def decide(
    connection: Connection,
    sessions: Sequence[Session],
    state: TickState,
    now: datetime,
    *,
    grid: WindowGrid,
    settings: Settings,
    running: str | None = None,
) -> Decision:
    """Choose what to read now.

    Args:
        connection: For the coverage ledger.
        state: What earlier ticks left.
        grid: How sessions are cut into windows.
        settings: For the overlap, the polls after a session's end, and the pauses.
        running: A live run that waits or works, if there is one: reading never piles up.
    """
    if running is not None:
        return Decision(skip_reason=f"run {running} is still reading")
    waiting = state.waiting(now, settings)
    plan = plan_poll(
        connection,
        [session for session in sessions if session.session_id not in waiting],
        grid,
        now,
        overlap=settings.overlap,
        post_session=timedelta(hours=settings.post_session_hours),
    )
    warnings = _warnings(plan)
    if plan.keys:
        return Decision(plan, warnings=warnings)
    stored = {session.session_id for session in sessions}
    pauses = [
        f"session {session_id} waits {_span(rest)} more after {failing.failures} failed runs in a row: "
        f"{failing.error}"
        for session_id, rest in waiting.items()
        # A session that was removed is still remembered.
        if session_id in stored and (failing := state.failing[session_id])
    ]
    return Decision(skip_reason="; ".join(pauses) or _idle(plan, now), warnings=warnings)


def _warnings(plan: PollPlan) -> tuple[str, ...]:
    if plan.session is None or not plan.also_live:
        return ()
    others = ", ".join(session.session_id for session in plan.also_live)
    first = plan.session.session_id
    return (f"several sessions are live: {first} started first and is read, after its end {others}",)


def _idle(plan: PollPlan, now: datetime) -> str:
    if plan.session is not None:
        return f"session {plan.session.session_id} is live and complete up to now"
    if plan.upcoming is None:
        return "no session is live and none is coming: add one to data/sessions.yaml"
    start = plan.upcoming.start_time
    return (
        f"no session is live; the next is {plan.upcoming.session_id} at "
        f"{start.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, in {_span(start - now)}"
    )


def _span(span: timedelta) -> str:
    """Write a duration in its two largest units."""
    seconds = max(round(span.total_seconds()), 1)
    units = [
        ("d", seconds // 86_400),
        ("h", seconds // 3600 % 24),
        ("min", seconds // 60 % 60),
        ("s", seconds % 60),
    ]
    first = next(index for index, (_, amount) in enumerate(units) if amount)
    return " ".join(f"{amount} {unit}" for unit, amount in units[first : first + 2] if amount)
