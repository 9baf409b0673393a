"""What a tick remembers and decides, without Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.orchestration.live.tick import Decision, Failing, RunOutcome, TickState, decide, pause
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.coverage import Proof, record_proof

NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTINGS = Settings(_env_file=None, POLL_INTERVAL_SECONDS=30, max_backoff_seconds=900)


def failed(number: int, session_id: str = "monza", at: datetime = NOW) -> RunOutcome:
    """Return a failed run."""
    return RunOutcome(f"run-{number}", session_id, at, f"failure {number}")


def succeeded(number: int, session_id: str = "monza") -> RunOutcome:
    """Return a run that ended well."""
    return RunOutcome(f"run-{number}", session_id, NOW, None)


def test_pauses_double_from_the_second_failure_up_to_the_limit() -> None:
    """The first failure waits for nothing but the next tick."""
    seconds = [pause(failures, SETTINGS).total_seconds() for failures in range(8)]
    assert seconds == [0, 0, 60, 120, 240, 480, 900, 900]
    assert pause(10_000, SETTINGS) == timedelta(seconds=900)


def test_failures_are_counted_by_session_and_forgotten_by_success() -> None:
    """One session's failures say nothing about another's."""
    state = TickState().after([failed(1), failed(2, "baku"), failed(3)], NOW)
    assert {key: each.failures for key, each in state.failing.items()} == {"baku": 1, "monza": 2}
    assert state.failing["monza"] == Failing(2, NOW, "failure 3")
    assert state.last_run_id == "run-3"
    after = state.after([succeeded(4)], NOW)
    assert list(after.failing) == ["baku"]
    assert after.last_run_id == "run-4"


def test_nothing_new_changes_nothing() -> None:
    """A tick without finished runs leaves the state as it was."""
    state = TickState().after([failed(1)], NOW)
    assert state.after([], NOW) == state


def test_old_failures_are_forgotten() -> None:
    """The cursor does not grow for ever."""
    state = TickState().after([failed(1)], NOW)
    [failing] = state.failing.values()
    two_days = failing.failed_at + timedelta(days=2)
    assert state.after([], two_days).failing == {}
    assert state.after([], two_days - timedelta(seconds=1)).failing == state.failing


def test_a_pause_ends_by_itself() -> None:
    """What is left of it gets shorter until it is over."""
    state = TickState().after([failed(1), failed(2), failed(3)], NOW)
    assert state.waiting(NOW + MINUTE, SETTINGS) == {"monza": MINUTE}
    assert state.waiting(NOW + 2 * MINUTE, SETTINGS) == {}


def test_a_clock_set_back_does_not_prolong_a_pause() -> None:
    """The failure seems to lie in the future: the session is tried."""
    state = TickState().after([failed(number) for number in range(9)], NOW)
    assert state.waiting(NOW - timedelta(hours=3), SETTINGS) == {}


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "garbage",
        "[]",
        "null",
        "3",
        '{"failing": 3}',
        '{"failing": {"monza": []}}',
        '{"failing": {"monza": [1, "yesterday", "x"]}}',
        '{"failing": {"monza": [1, "2026-03-01T14:00:00", "a naive time"]}}',
        '{"failing": {"monza": ["many", "2026-03-01T14:00:00+00:00", "x"]}}',
    ],
)
def test_a_cursor_that_cannot_be_read_is_as_good_as_none(cursor: str | None) -> None:
    """Whoever edited it, or whichever version wrote it, the sensor goes on."""
    assert TickState.from_cursor(cursor) == TickState()


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.builds(Failing, st.integers(1, 99), st.datetimes(timezones=st.just(UTC)), st.text()),
    ),
    st.none() | st.text(),
)
def test_a_state_survives_the_cursor(failing: dict[str, Failing], last_run_id: str | None) -> None:
    """What is written is read back."""
    state = TickState(failing, last_run_id)
    assert TickState.from_cursor(state.to_cursor()) == state


def session(session_id: str, start: datetime, minutes: float) -> Session:
    """Return a session in one channel."""
    return Session(session_id, start, start + minutes * MINUTE, (5,))


class Ledger:
    """A real ledger, and decisions on it."""

    def __init__(self, folder: Path) -> None:
        """Begin without proofs."""
        self.services = build_services(Settings(_env_file=None, data_dir=folder, post_session_hours=24))

    def prove(self, start: datetime, end: datetime) -> None:
        """Record that a time range was read completely."""
        window = Window(start, end)
        with self.services.database.write() as connection:
            record_proof(connection, Proof(5, window.low, window.high, "export", end, "a-journey"))

    def decide(self, *sessions: Session, state: TickState | None = None, **changes: Any) -> Decision:
        """Decide at `NOW`."""
        with self.services.database.read() as connection:
            return decide(
                connection,
                sessions,
                state or TickState(),
                changes.pop("now", NOW),
                grid=self.services.grid,
                settings=self.services.settings,
                **changes,
            )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path)


def test_a_live_session_is_read_from_where_its_proof_ends(ledger: Ledger) -> None:
    """With everything but the last minute proven, only the present window is read."""
    live = session("monza", NOW - 12 * MINUTE, 60)
    ledger.prove(live.start_time, NOW - MINUTE)
    decision = ledger.decide(live)
    assert decision.plan.keys == ("T+010m",)
    assert decision.skip_reason is None


def test_an_outage_is_read_from_where_its_proof_ends(ledger: Ledger) -> None:
    """However long it was, everything since is asked for."""
    live = session("monza", NOW - 42 * MINUTE, 60)
    ledger.prove(live.start_time, NOW - 31 * MINUTE)
    assert ledger.decide(live).plan.keys == tuple(f"T+{minutes:03d}m" for minutes in range(10, 45, 5))


def test_a_live_session_that_is_proven_to_the_present_is_left_alone(ledger: Ledger) -> None:
    """As when the clock was set back, or another reader was faster."""
    live = session("monza", NOW - 12 * MINUTE, 60)
    ledger.prove(live.start_time, NOW + MINUTE)
    assert ledger.decide(live).skip_reason == "session monza is live and complete up to now"


def test_without_a_live_session_the_next_one_is_named(ledger: Ledger) -> None:
    """With its time, and how long it is until then."""
    decision = ledger.decide(session("baku", NOW + timedelta(days=2, hours=3, minutes=5), 60))
    assert decision.plan.keys == ()
    assert decision.skip_reason == (
        "no session is live; the next is baku at 2026-03-03 17:05:00 UTC, in 2 d 3 h"
    )


def test_a_day_is_reported_as_one(ledger: Ledger) -> None:
    """A unit of which there is nothing is left out."""
    reason = ledger.decide(session("baku", NOW + timedelta(days=1), 60)).skip_reason
    assert reason is not None
    assert reason.endswith(" UTC, in 1 d")


def test_without_any_session_it_names_how_to_get_one(ledger: Ledger) -> None:
    """A fresh start."""
    assert ledger.decide().skip_reason == (
        "no session is live and none is coming: add one to data/sessions.yaml"
    )


def test_several_live_sessions_are_warned_of_and_the_first_to_start_is_read(ledger: Ledger) -> None:
    """The others come after its end."""
    first, second = session("monza", NOW - 20 * MINUTE, 60), session("baku", NOW - 10 * MINUTE, 60)
    decision = ledger.decide(second, first)
    assert decision.plan.session == first
    assert decision.warnings == (
        "several sessions are live: monza started first and is read, after its end baku",
    )


def test_others_that_are_live_are_named_while_the_first_is_complete(ledger: Ledger) -> None:
    """They wait all the same."""
    sessions = [session(name, NOW - n * MINUTE, 60) for n, name in ((30, "monza"), (20, "baku"), (10, "spa"))]
    ledger.prove(sessions[0].start_time, NOW + MINUTE)
    decision = ledger.decide(*sessions)
    assert decision.skip_reason == "session monza is live and complete up to now"
    [warning] = decision.warnings
    assert warning.endswith(" after its end baku, spa")


def test_a_session_that_ended_is_read_until_it_is_proven(ledger: Ledger) -> None:
    """Afterwards it rests."""
    ended = session("monza", NOW - 20 * MINUTE, 12)
    ledger.prove(ended.start_time, ended.end_time - MINUTE)
    assert ledger.decide(ended).plan.keys == ("T+010m",)
    ledger.prove(ended.start_time, ended.end_time)
    assert ledger.decide(ended).plan.keys == ()


def test_a_failing_session_waits_with_its_reason(ledger: Ledger) -> None:
    """The pause, the number of failures and the error stand in the reason."""
    live = session("monza", NOW - 12 * MINUTE, 60)
    state = TickState().after([failed(1), failed(2), failed(3)], NOW)
    decision = ledger.decide(live, state=state, now=NOW + timedelta(seconds=15))
    assert decision.plan.keys == ()
    assert decision.skip_reason == (
        "session monza waits 1 min 45 s more after 3 failed runs in a row: failure 3"
    )


def test_another_session_does_not_wait_for_a_failing_one(ledger: Ledger) -> None:
    """A session that ended and cannot be completed does not hold up the one that is live."""
    failing, live = session("monza", NOW - 20 * MINUTE, 60), session("baku", NOW - 10 * MINUTE, 60)
    state = TickState().after([failed(1), failed(2), failed(3)], NOW)
    assert ledger.decide(failing, live, state=state).plan.session == live


def test_failures_of_a_removed_session_are_not_mentioned(ledger: Ledger) -> None:
    """Nobody waits for it."""
    state = TickState().after([failed(1), failed(2), failed(3)], NOW)
    reason = ledger.decide(state=state).skip_reason
    assert reason is not None
    assert "monza" not in reason


def test_a_run_in_progress_is_waited_for(ledger: Ledger) -> None:
    """Reading never piles up."""
    live = session("monza", NOW - 12 * MINUTE, 60)
    assert ledger.decide(live, running="abc").skip_reason == "run abc is still reading"
