"""A fresh reading beside the table, at the very borders of times and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest_pipeline.completeness.comparison import Comparison, FreshReading, FreshRow, compare
from ingest_pipeline.domain.sessions.membership import Claim
from ingest_pipeline.sources.discord.history import Page
from ingest_pipeline.storage.messages.queries import StoredVersion
from ingest_pipeline_tests.exports import START

CHANNEL = 7
NEVER = START - timedelta(days=1)
TICK = timedelta(microseconds=1)
FRESH = FreshRow(15, 1, START - timedelta(hours=1), START, skip_reason=None)
STORED = StoredVersion(15, 1, NEVER, None)


def compared(
    fresh: FreshRow | None,
    stored: StoredVersion | None,
    *,
    unproven: Sequence[tuple[int, int]] = (),
    claims: Sequence[Claim] = (),
) -> Comparison:
    """Compare a page of the ids from 11 to 20 with the table."""
    page = Page([{"id": str(fresh.discord_id)}] if fresh else [], 10, 20, START)
    rows = {fresh.discord_id: fresh} if fresh else {}
    known = {stored.discord_id: stored} if stored else {}
    reading = FreshReading(CHANNEL, (page,), rows, Counter())
    return compare(reading, known, unproven, claims, shows_starter=False)


@pytest.mark.parametrize(("later", "reasons"), [(-TICK, 1), (TICK * 0, 0), (TICK, 0)])
def test_what_the_table_learnt_at_the_time_of_the_reading_is_no_difference(
    later: timedelta, reasons: int
) -> None:
    """A deletion, another content and a new message; a microsecond before, each is one."""
    deleted = compared(FRESH, replace(STORED, deleted_at=START + later))
    assert deleted.reasons == Counter({"taken_as_deleted": reasons} if reasons else {})
    changed = compared(FRESH, replace(STORED, content_digest=2, observed_at=START + later))
    assert changed.reasons == Counter({"change_missed": reasons} if reasons else {})
    unseen = compared(None, replace(STORED, observed_at=START + later))
    assert unseen.reasons == Counter({"deletion_missed": reasons} if reasons else {})


@pytest.mark.parametrize(("discord_id", "count"), [(10, 0), (11, 1), (20, 1), (21, 0)])
def test_a_page_speaks_for_the_ids_it_covers(discord_id: int, count: int) -> None:
    """Above its lower end, and up to the upper one."""
    found = compared(None, replace(STORED, discord_id=discord_id))
    assert (found.reasons.total(), found.compared, found.in_table) == (count, count, 1)


@pytest.mark.parametrize(("gap", "reason"), [((14, 15), "not_read"), ((10, 14), "lost"), ((15, 20), "lost")])
def test_what_is_missing_in_a_gap_was_not_read(gap: tuple[int, int], reason: str) -> None:
    """A gap begins above its lower end and holds its upper one."""
    assert compared(FRESH, None, unproven=[gap]).reasons == {reason: 1}


def test_a_row_belongs_to_the_session_that_claims_its_time_first() -> None:
    """From its start on, and not at its end."""
    posted = FRESH.posted_at
    early = Claim(posted - 2 * TICK, "early", posted)
    first = Claim(posted - TICK, "first", posted + TICK)
    second = Claim(posted, "second", posted + TICK)
    linked = replace(STORED, session_id="first")
    assert not compared(FRESH, linked, claims=[second, first, early]).reasons
    assert compared(FRESH, linked, claims=[second, early]).reasons == {"session_differs": 1}
    assert not compared(FRESH, replace(STORED, session_id="second"), claims=[second, early]).reasons
    assert compared(FRESH, linked).reasons == {"session_differs": 1}


def test_what_a_policy_leaves_out_is_no_difference_and_a_known_message_is_a_row() -> None:
    """A message that was known before is a row, whatever the policy says of it now."""
    silent = replace(FRESH, skip_reason="media_only")
    left_out = compared(silent, None)
    assert (left_out.reasons, left_out.on_discord, left_out.skipped) == ({}, 0, {"media_only": 1})
    known = compared(silent, STORED)
    assert (known.reasons, known.on_discord, known.skipped) == ({}, 1, {})


def test_details_are_compared_where_both_carry_them() -> None:
    """An exporter's reading says nothing of components; Discord's own object does."""
    detailed = replace(STORED, details_digest=5)
    assert not compared(FRESH, detailed).reasons
    assert not compared(replace(FRESH, details_digest=5), detailed).reasons
    assert not compared(replace(FRESH, details_digest=0), STORED).reasons
    for digest in (0, 6):
        assert compared(replace(FRESH, details_digest=digest), detailed).reasons == {"change_missed": 1}
