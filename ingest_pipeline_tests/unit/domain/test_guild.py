"""Which channels of a guild are monitored."""

from __future__ import annotations

from ingest_pipeline.domain.guild import Channel, ChannelAccess, monitored_ids

CATEGORY = Channel(1, 9, "Trading", "category")
SETUPS = Channel(2, 9, "aplus-setups-daily", "text", parent_id=1)
GENERAL = Channel(3, 9, "general", "text")
THREAD = Channel(4, 9, "NVDA", "public_thread", parent_id=2)
CHANNELS = (CATEGORY, SETUPS, GENERAL, THREAD)


def test_a_pattern_matches_names_and_their_threads() -> None:
    """A glob takes the channels it names and whatever hangs below them."""
    assert monitored_ids(CHANNELS, ["*aplus-setups*"]) == {2, 4}


def test_an_id_is_a_pattern() -> None:
    """A channel can be named by its id; one that is unknown matches nothing."""
    assert monitored_ids(CHANNELS, ["3", "77"]) == {3}


def test_a_category_takes_its_channels_and_their_threads() -> None:
    """Monitoring a category monitors all that is in it."""
    assert monitored_ids(CHANNELS, ["trading"]) == {1, 2, 4}


def test_case_hash_and_blanks_do_not_matter() -> None:
    """Patterns are written by people."""
    assert monitored_ids(CHANNELS, [" #General "]) == {3}


def test_no_pattern_and_an_empty_one_match_nothing() -> None:
    """Nothing is monitored that nobody asked for."""
    assert monitored_ids(CHANNELS, []) == monitored_ids(CHANNELS, ["", "#"]) == set()


def test_what_is_excepted_is_not_monitored() -> None:
    """By name or id, with the threads below; what is nearer decides, and an id before a name."""
    assert monitored_ids(CHANNELS, ["*", "!general"]) == {1, 2, 4}
    assert monitored_ids(CHANNELS, ["trading", "!2"]) == {1}
    assert monitored_ids(CHANNELS, ["trading", "!*setups*", "4"]) == {1, 4}
    assert monitored_ids(CHANNELS, ["3", "!gen*"]) == {3}
    assert monitored_ids(CHANNELS, ["!3", "! #General", "!"]) == set()


def test_channels_that_are_each_others_parents_are_no_trap() -> None:
    """A circle in what Discord says of parents ends."""
    assert monitored_ids([Channel(1, 9, "a", parent_id=2), Channel(2, 9, "b", parent_id=1)], ["b"]) == {1, 2}


def test_only_what_holds_messages_and_may_be_read_is_readable() -> None:
    """Forums and categories hold no messages themselves."""
    readable = ChannelAccess.READABLE
    assert Channel(1, 9, "a", "text", reading_state=readable).is_readable
    assert Channel(1, 9, "a", "private_thread", reading_state=readable).is_readable
    assert not Channel(1, 9, "a", "forum", reading_state=readable).is_readable
    assert not Channel(1, 9, "a", "text", reading_state=ChannelAccess.NO_HISTORY).is_readable
