"""Which channels are watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ingest_pipeline.bot.watchlist import CatalogueView, Watchlist
from ingest_pipeline.domain.guild import Channel
from ingest_pipeline.domain.sessions.session import Session

NOW = datetime(2026, 9, 6, 13, tzinfo=UTC)
GUILD, OTHER = 1, 2
RADIO = Channel(10, GUILD, "team-radio")
PIT = Channel(20, GUILD, "pit-wall")
FORUM = Channel(30, GUILD, "radio-archive", "forum")
THREAD = Channel(11, GUILD, "lap 1", "public_thread", parent_id=10)
FOREIGN = Channel(40, OTHER, "team-radio")
SESSION = Session("race", NOW, NOW + timedelta(hours=1), (20,))


def view(*channels: Channel, sessions: tuple[Session, ...] = ()) -> CatalogueView:
    """Return a catalogue in which one guild monitors what has to do with radio."""
    return CatalogueView(
        {each.channel_id: each for each in channels}, {GUILD: ["*radio*"], OTHER: []}, sessions
    )


def test_patterns_name_channels_of_their_own_guild() -> None:
    """Threads with their channels; what holds no messages is not among the channels to read."""
    watchlist = Watchlist()
    assert watchlist.replace(view(RADIO, PIT, FORUM, THREAD, FOREIGN)) == {10, 11, 30}
    assert [each.channel_id for each in watchlist.channels()] == [10, 11]
    assert watchlist.wants(11)
    assert not watchlist.wants(40)
    assert watchlist.with_threads([10, 20]) == {10, 11}


def test_a_sessions_channels_are_wanted_but_not_expected_whole() -> None:
    """Whether a pattern names them or not."""
    watchlist = Watchlist()
    watchlist.replace(view(RADIO, PIT, sessions=(SESSION,)))
    assert watchlist.wants(20)
    assert not watchlist.is_monitored(20)
    assert watchlist.is_monitored(10)
    assert watchlist.sessions == (SESSION,)


def test_an_unknown_channel_might_be_wanted() -> None:
    """Its events are kept until somebody knows."""
    watchlist = Watchlist()
    watchlist.replace(view(RADIO, PIT))
    assert (watchlist.may_want(99), watchlist.wants(99)) == (True, False)
    assert not watchlist.may_want(20)


def test_what_the_gateway_reports_counts_at_once_and_stays() -> None:
    """A reading of the catalogue from before does not know of it yet."""
    watchlist = Watchlist()
    watchlist.replace(view(RADIO))
    assert watchlist.learn([THREAD, RADIO]) == {11}
    assert watchlist.learn([THREAD]) == set()
    assert watchlist.replace(view(RADIO)) == set()
    assert watchlist.wants(11)
    watchlist.replace(view(RADIO, replace(THREAD, parent_id=20), PIT))
    assert not watchlist.wants(11)


def test_a_renamed_channel_may_come_or_go() -> None:
    """By the name it has now."""
    watchlist = Watchlist()
    watchlist.replace(view(RADIO, PIT))
    assert watchlist.learn([replace(PIT, name="pit-radio"), replace(RADIO, name="silence")]) == {20}
    assert not watchlist.wants(10)
