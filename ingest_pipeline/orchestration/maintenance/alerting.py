"""The decision to alert about a failure, and its text; notification rules say where it goes.

Runs are grouped by job and session. An alert is sent once a group has failed a number of times in
a row, and another when it works again. All alerts about one session at one time are one message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

_LONGEST_LINE = 500
_FORGOTTEN = timedelta(days=30)
_LISTED = 8
_LONGEST_SUBJECT = 2_000
# In cursors since the first release; another name would alert again about all that fails at an upgrade.
_ALERTED_KEY = "is_told"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    Attributes:
        job: What ran.
        session_id: The session it was about, or None.
        run_id: Dagster's id of it; empty for a tick.
        ended_at: Aware UTC.
        problem: What went wrong, in a line, or None.
        is_repeated: Whether another run follows by itself within minutes, as the polls of a session do.
        heals: Other jobs whose failures about the session are made good when this one succeeds.
    """

    job: str
    session_id: str | None
    run_id: str
    ended_at: datetime
    problem: str | None = None
    is_repeated: bool = False
    heals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures in a row of one job about one session.

    Attributes:
        job: What ran.
        session_id: The session, or None.
        failures: How many.
        since: End of the first of them, aware UTC.
        last: End of the last of them, aware UTC.
        run_id: The last of them.
        problem: What went wrong in it.
        is_alerted: Whether an alert was sent.
    """

    job: str
    session_id: str | None
    failures: int
    since: datetime
    last: datetime
    run_id: str
    problem: str
    is_alerted: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """A failure, or its end, that is to be reported.

    Attributes:
        subject: Distinguishes it from every other.
        session_id: The session it is about, or None.
        values: What the templates of notifications may name, as JSON values.
    """

    subject: str
    session_id: str | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AlertState:
    """The state that the cursor keeps between two ticks.

    Attributes:
        seen: Position in Dagster's event log up to which runs are taken into account; None at first.
        streaks: What fails, by job and session.
        ticks_seen: Until when ticks are taken into account, in seconds since 1970; None at first.
    """

    seen: int | None = None
    streaks: dict[str, Streak] = field(default_factory=dict)
    ticks_seen: float | None = None

    @classmethod
    def from_text(cls, text: str | None) -> AlertState:
        """Read a state; one that cannot be read is as good as none."""
        try:
            stated = json.loads(text or "{}")
            streaks = [_streak(each) for each in stated.get("streaks", ())]
            seen = stated.get("seen")
            ticks_seen = float(stated.get("ticks_seen") or 0) or None
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()
        by_group = {_group(streak): streak for streak in streaks}
        return cls(seen if isinstance(seen, int) else None, by_group, ticks_seen)

    def to_text(self) -> str:
        """Write the state."""
        streaks = [
            {
                "job": each.job,
                "session_id": each.session_id,
                "failures": each.failures,
                "since": each.since.isoformat(),
                "last": each.last.isoformat(),
                "run_id": each.run_id,
                "problem": each.problem,
                _ALERTED_KEY: each.is_alerted,
            }
            for each in self.streaks.values()
        ]
        return json.dumps({"seen": self.seen, "ticks_seen": self.ticks_seen, "streaks": streaks})

    def after(
        self, outcomes: Iterable[Outcome], *, threshold: int, now: datetime
    ) -> tuple[AlertState, list[Alert]]:
        """Return the state that follows from runs that ended since, and the alerts that are due.

        Args:
            outcomes: In the order in which they ended.
            threshold: Failures in a row before those of a repeated run are alerted; others are at once.
        """
        streaks = {group: each for group, each in self.streaks.items() if abs(now - each.last) < _FORGOTTEN}
        failed: dict[str, Streak] = {}
        recovered: list[tuple[Streak, datetime]] = []
        for outcome in outcomes:
            group = _group(outcome)
            if outcome.problem is None:
                for healed in (group, *(_group(replace(outcome, job=job)) for job in outcome.heals)):
                    before = streaks.pop(healed, None)
                    # A failure that is over before its alert went out needs neither alert nor recovery.
                    was_sent = failed.pop(healed, None) is None
                    if before and before.is_alerted and was_sent:
                        recovered.append((before, outcome.ended_at))
                continue
            streak = _longer(streaks.get(group), outcome, outcome.problem)
            if not streak.is_alerted and streak.failures >= (threshold if outcome.is_repeated else 1):
                failed[group] = streak = replace(streak, is_alerted=True)
            streaks[group] = streak
        alerts = _alerts([streaks[group] for group in failed], recovered)
        return replace(self, streaks=streaks), alerts


def _longer(before: Streak | None, outcome: Outcome, problem: str) -> Streak:
    return Streak(
        job=outcome.job,
        session_id=outcome.session_id,
        failures=before.failures + 1 if before else 1,
        since=before.since if before else outcome.ended_at,
        last=outcome.ended_at,
        run_id=outcome.run_id,
        problem=problem[:_LONGEST_LINE],
        is_alerted=before is not None and before.is_alerted,
    )


def _alerts(failed: Sequence[Streak], recovered: Sequence[tuple[Streak, datetime]]) -> list[Alert]:
    """Return one alert for each session with failures, and one for each with recoveries."""
    alerts = []
    for session_id in dict.fromkeys(each.session_id for each in failed):
        mine = [each for each in failed if each.session_id == session_id]
        alerts.append(_alert("failure", session_id, mine, [_failure_line(each) for each in mine]))
    for session_id in dict.fromkeys(each.session_id for each, _ in recovered):
        ended = [(each, at) for each, at in recovered if each.session_id == session_id]
        lines = [_recovery_line(each, at) for each, at in ended]
        alerts.append(_alert("recovery", session_id, [each for each, _ in ended], lines))
    return alerts


def _alert(event: str, session_id: str | None, streaks: Sequence[Streak], lines: Sequence[str]) -> Alert:
    is_over = event == "recovery"
    sign = "\N{WHITE HEAVY CHECK MARK}" if is_over else "\N{POLICE CARS REVOLVING LIGHT}"
    about = f"session {session_id}" if session_id else "ingest_pipeline"
    rest = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    problems = [
        {
            "job": each.job,
            "run_id": each.run_id,
            "failures": each.failures,
            "since": each.since.isoformat(),
            "error": each.problem,
        }
        for each in streaks
    ]
    values = {
        "title": f"{sign} {about}",
        "text": "\n".join([*lines[:_LISTED], *rest]),
        "level": "success" if is_over else "failure",
        "event": event,
        "session_id": session_id,
        "problems": problems,
    }
    # A tick is no run: its time distinguishes it from the one before.
    ends = sorted(f"{each.job} {each.run_id} {each.last.isoformat()}" for each in streaks)
    return Alert(f"{event}:{session_id or ''}:{';'.join(ends)}"[:_LONGEST_SUBJECT], session_id, values)


def _failure_line(streak: Streak) -> str:
    often = f", {streak.failures} times in a row since {_clock(streak.since)}" if streak.failures > 1 else ""
    run = f" (run {streak.run_id[:8]})" if streak.run_id else ""
    return f"{streak.job} failed{often}: {streak.problem}{run}"


def _recovery_line(streak: Streak, at: datetime) -> str:
    times = "1 failure" if streak.failures == 1 else f"{streak.failures} failures in a row"
    return f"{streak.job} works again at {_clock(at)}, after {times} since {_clock(streak.since)}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _group(subject: Outcome | Streak) -> str:
    return f"{subject.job}|{subject.session_id or ''}"


def _streak(stated: Mapping[str, Any]) -> Streak:
    fields = dict(stated)
    is_alerted = fields.pop(_ALERTED_KEY, False)
    moments: dict[str, Any] = {name: _moment(fields.pop(name)) for name in ("since", "last")}
    return Streak(**fields, **moments, is_alerted=is_alerted)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return moment
