"""Which channels are watched, what may have been missed there, and from where they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_pipeline.bot.catch_up import WatchPlan, plan_watch
from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.gateway.refetch_queue import (
    WatchedChannel,
    clear_gap,
    list_watched,
    record_gap,
    watch_channels,
)
from ingest_pipeline.storage.messages.coverage import Proof, record_proof
from ingest_pipeline.storage.runs.scan_runs import (
    RunKind,
    RunStatus,
    ScanRun,
    finish_run,
    queue_run,
    start_run,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOOKBACK = 24 * HOUR
OVERLAP = timedelta(seconds=30)
GUILD, RADIO, PIT = 1, 10, 20


def before(moment: datetime) -> int:
    """Return the highest id made before a time."""
    return first_id_at(moment) - 1


def watch(database: Database, *channel_ids: int, since: datetime = NOW) -> None:
    """Watch channels from a time on."""
    rows = [WatchedChannel(channel_id, GUILD, since) for channel_id in channel_ids]
    database.run(lambda connection: watch_channels(connection, rows, now=since))


def settle(database: Database, *channel_ids: int, at: datetime = NOW) -> None:
    """Note that channels were read by readings that began at a time."""
    database.run(lambda connection: clear_gap(connection, channel_ids, begun_at=at))


def prove(database: Database, low: int, high: int, channel_id: int = RADIO) -> None:
    """Record a complete reading."""
    proof = Proof(channel_id, low, high, "history", NOW, "c")
    database.run(lambda connection: record_proof(connection, proof))


def channel(newest: datetime | None, **changes: Any) -> Channel:
    """Return a readable channel whose newest message was posted at a time."""
    values: dict[str, Any] = {
        "channel_id": RADIO,
        "guild_id": GUILD,
        "name": "team-radio",
        "reading_state": ChannelAccess.READABLE,
        "last_message_id": first_id_at(newest) if newest else None,
    } | changes
    return Channel(**values)


def plan(database: Database, *channels: Channel, monitored: bool = True) -> WatchPlan:
    """Plan for some channels."""
    with database.read() as connection:
        return plan_watch(
            connection,
            channels,
            monitored=[each.channel_id for each in channels] if monitored else [],
            lookback=LOOKBACK,
            overlap=OVERLAP,
        )


def lows(planned: WatchPlan) -> list[int]:
    """Return where each reading begins."""
    return [each.low for each in planned.id_ranges]


def test_a_channel_is_watched_from_the_first_time_on_and_owes_a_reading(database: Database) -> None:
    """Watching it again changes nothing."""
    watch(database, RADIO)
    watch(database, RADIO, PIT, since=NOW + HOUR)
    with database.read() as connection:
        watched = list_watched(connection)
    assert watched[RADIO] == WatchedChannel(RADIO, GUILD, NOW, NOW, NOW)
    assert watched[PIT].missed_since == NOW + HOUR


def test_what_was_missed_stays_until_a_reading_begun_later(database: Database) -> None:
    """The earliest time counts, and what is noted while a channel is read outlives the reading."""
    watch(database, RADIO, PIT)
    settle(database, RADIO, PIT, at=NOW)
    database.run(lambda c: record_gap(c, [RADIO], since=NOW + 2 * HOUR, now=NOW + 2 * HOUR))
    database.run(lambda c: record_gap(c, [RADIO], since=NOW + HOUR, now=NOW + 3 * HOUR))
    settle(database, RADIO, at=NOW + 2 * HOUR)
    with database.read() as connection:
        watched = list_watched(connection)
    assert watched[RADIO].missed_since == NOW + HOUR
    assert watched[PIT].missed_since is None
    settle(database, RADIO, at=NOW + 3 * HOUR)
    with database.read() as connection:
        assert list_watched(connection)[RADIO].missed_since is None


def test_a_channel_never_read_begins_some_hours_before_it_was_watched(database: Database) -> None:
    """However long ago that was: an outage of weeks leaves no hole."""
    watch(database, RADIO)
    assert lows(plan(database, channel(NOW + 500 * HOUR))) == [before(NOW - LOOKBACK)]


def test_nothing_posted_is_nothing_missed(database: Database) -> None:
    """Empty channels, and those quiet since long before, cost no request."""
    watch(database, RADIO, PIT)
    planned = plan(database, channel(None), channel(NOW - LOOKBACK - HOUR, channel_id=PIT, name="pit-wall"))
    assert planned == WatchPlan((), (RADIO, PIT))


def test_after_a_gap_what_was_posted_in_the_hours_before_it_is_read_again(database: Database) -> None:
    """Edits and deletions of it may have been missed."""
    watch(database, RADIO, since=NOW - 100 * HOUR)
    settle(database, RADIO)
    prove(database, before(NOW - 200 * HOUR), before(NOW - HOUR))
    database.run(lambda c: record_gap(c, [RADIO], since=NOW, now=NOW))
    assert lows(plan(database, channel(NOW + HOUR))) == [before(NOW - LOOKBACK)]


def test_without_a_gap_only_what_is_not_proven_is_read(database: Database) -> None:
    """With a little overlap; and nothing when nothing was posted since."""
    watch(database, RADIO, since=NOW - 100 * HOUR)
    settle(database, RADIO)
    proven = before(NOW)
    prove(database, before(NOW - 200 * HOUR), proven)
    assert lows(plan(database, channel(NOW + HOUR))) == [before(NOW - timedelta(milliseconds=1) - OVERLAP)]
    assert plan(database, channel(NOW - HOUR)) == WatchPlan((), ())


@pytest.mark.parametrize("monitored", [True, False])
def test_a_gap_between_proofs_is_read_where_a_channel_is_expected_whole(
    database: Database, *, monitored: bool
) -> None:
    """For a session's channel, what lies between sessions is nobody's."""
    watch(database, RADIO, since=NOW)
    settle(database, RADIO)
    prove(database, before(NOW - 900 * HOUR), before(NOW - 800 * HOUR))
    prove(database, before(NOW - 24 * HOUR), before(NOW))
    hole = before(NOW - 800 * HOUR - timedelta(milliseconds=1) - OVERLAP)
    tail = before(NOW - timedelta(milliseconds=1) - OVERLAP)
    assert lows(plan(database, channel(NOW + HOUR), monitored=monitored)) == [hole if monitored else tail]


def test_what_an_import_under_way_will_read_is_left_to_it(database: Database) -> None:
    """But not what may have changed while nobody listened."""
    watch(database, RADIO, since=NOW)
    head = before(NOW - HOUR)
    run = ScanRun("i", GUILD, RADIO, RunKind.IMPORT, 0, "c", NOW)
    database.run(lambda c: queue_run(c, run))
    database.run(lambda c: start_run(c, "i", head_id=head, now=NOW))
    prove(database, 0, before(NOW - 900 * HOUR))
    assert lows(plan(database, channel(NOW))) == [before(NOW - LOOKBACK)]
    settle(database, RADIO)
    assert lows(plan(database, channel(NOW))) == [head]
    database.run(lambda c: finish_run(c, "i", RunStatus.COMPLETED, now=NOW))
    assert lows(plan(database, channel(NOW)))[0] < head


@pytest.mark.parametrize(
    "state", [each for each in ChannelAccess if each is not ChannelAccess.READABLE], ids=str
)
def test_a_channel_that_cannot_be_read_waits(database: Database, state: ChannelAccess) -> None:
    """What it owes stays noted."""
    watch(database, RADIO)
    assert plan(database, channel(NOW, reading_state=state)) == WatchPlan((), ())


def test_a_channel_that_is_not_watched_is_left_alone(database: Database) -> None:
    """Whatever is in it."""
    assert plan(database, channel(NOW)) == WatchPlan((), ())
