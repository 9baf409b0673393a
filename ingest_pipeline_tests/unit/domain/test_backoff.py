"""Pauses between attempts: a mistake here hammers a server that is down, or never comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest_pipeline.domain.backoff import Backoff, RetrySchedule

NOW = datetime(2026, 9, 6, 13, 0, tzinfo=UTC)


def test_pauses_double_up_to_the_longest() -> None:
    """Also after more attempts than a number has doublings."""
    backoff = Backoff(first_seconds=1.5, longest_seconds=10.0)
    assert [backoff.delay(attempt) for attempt in (1, 2, 3, 4, 100_000)] == [1.5, 3.0, 6.0, 10.0, 10.0]


def test_jitter_draws_a_share_of_the_pause() -> None:
    """A tenth of it is left at least."""
    drawn = [Backoff(4.0, jitter=0.9).delay(2) for _ in range(200)]
    assert 0.8 <= min(drawn) < 4.0 < max(drawn) <= 8.0


def test_a_schedule_waits_for_the_pause_of_its_attempts() -> None:
    """The second pause is twice the first, to the second."""
    schedule = RetrySchedule(Backoff(60, 3600)).record_attempt("one", NOW).record_attempt("one", NOW)
    assert not schedule.is_due("one", NOW + timedelta(seconds=119))
    assert schedule.is_due("one", NOW + timedelta(seconds=120))
    assert schedule.is_due("another", NOW)
