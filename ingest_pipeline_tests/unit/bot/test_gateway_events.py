"""What spooled frames mean, whatever is in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.ingestion.documents.payloads import correlation_of
from ingest_pipeline.ingestion.gateway_events import CAPTURED, Events, interpret
from ingest_pipeline.landing.spool import Record
from ingest_pipeline.storage.gateway.refetch_queue import PartialUpdate

NOW = datetime(2026, 9, 6, 13, tzinfo=UTC)
CHANNEL, GUILD = 500, 7
WHOLE = {
    "id": "1000",
    "channel_id": "500",
    "guild_id": "7",
    "timestamp": "2026-09-06T13:00:00+00:00",
    "author": {"id": "5", "username": "engineer"},
    "content": "Box, box.",
    "type": 0,
}
PLACE = {"channel_id": "500", "guild_id": "7"}
PARTIAL = PartialUpdate(CHANNEL, 1000, GUILD)


def seen(*frames: tuple[str | None, Any] | bytes) -> Events:
    """Interpret frames, all of them of the monitored channel."""
    raw = [
        each if isinstance(each, bytes) else json.dumps({"t": each[0], "d": each[1]}).encode()
        for each in frames
    ]
    return interpret([Record(NOW, each) for each in raw], lambda channel_id: channel_id == CHANNEL)


def test_a_creation_is_a_message() -> None:
    """With nothing to read again."""
    events = seen(("MESSAGE_CREATE", WHOLE))
    [message] = events.messages[(GUILD, CHANNEL)]
    assert (message.message_id, message.seen_at, message.is_creation) == (1000, NOW, True)
    assert events.partial_updates == set()
    assert events.created_ids == events.message_ids == {1000}
    assert events.newest_ids == {CHANNEL: 1000}


def test_an_edit_is_taken_at_once_and_read_again() -> None:
    """Its text is reported for certain, its reactions and pins are not."""
    events = seen(("MESSAGE_UPDATE", WHOLE | {"edited_timestamp": "2026-09-06T13:05:00+00:00"}))
    [message] = events.messages[(GUILD, CHANNEL)]
    assert not message.is_creation
    assert events.partial_updates == {PARTIAL}


@pytest.mark.parametrize(
    "data",
    [WHOLE, WHOLE | {"pinned": True}, PLACE | {"id": "1000", "embeds": []}],
    ids=["unchanged", "pinned", "partial"],
)
def test_any_other_update_is_only_a_reason_to_read(data: dict[str, Any]) -> None:
    """It carries no order of its own."""
    events = seen(("MESSAGE_UPDATE", data))
    assert events.messages == {}
    assert events.partial_updates == {PARTIAL}
    assert events.skipped == {}


@pytest.mark.parametrize("kind", sorted(name for name in CAPTURED if "REACTION" in name))
def test_reactions_are_a_reason_to_read(kind: str) -> None:
    """Whoever reacted, and with what."""
    assert seen((kind, PLACE | {"message_id": "1000"})).partial_updates == {PARTIAL}


def test_deletions_single_and_many() -> None:
    """Each becomes a tombstone with its message's own journey."""
    events = seen(
        ("MESSAGE_DELETE", PLACE | {"id": "1"}), ("MESSAGE_DELETE_BULK", PLACE | {"ids": ["2", "3"]})
    )
    assert [each.discord_id for each in events.deletions] == [1, 2, 3]
    assert {each.deleted_at for each in events.deletions} == {NOW}
    assert events.deletions[0].correlation_id == correlation_of(GUILD, 1) == "7-1"


def test_a_creation_with_parts_missing_is_counted_and_read() -> None:
    """That the message is there is known."""
    events = seen(("MESSAGE_CREATE", {key: value for key, value in WHOLE.items() if key != "type"}))
    assert (events.partial_updates, events.skipped, events.channels_to_rescan) == (
        {PARTIAL},
        {"malformed": 1},
        set(),
    )


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("MESSAGE_CREATE", PLACE),
        ("MESSAGE_UPDATE", PLACE | {"id": "x"}),
        ("MESSAGE_DELETE", PLACE),
        ("MESSAGE_DELETE_BULK", PLACE | {"ids": "2"}),
        ("MESSAGE_DELETE_BULK", PLACE | {"ids": ["2", None]}),
        ("MESSAGE_REACTION_ADD", PLACE),
    ],
)
def test_a_frame_that_does_not_name_its_message_makes_its_channel_suspect(
    kind: str, data: dict[str, Any]
) -> None:
    """Something happened there that only a reading can find."""
    events = seen((kind, data))
    assert (events.skipped, events.channels_to_rescan) == ({"malformed": 1}, {CHANNEL})


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b'{"t":"MESSAGE_CREATE"}',
        b'{"t":"MESSAGE_CREATE","d":[1]}',
        b'{"t":null,"d":{"channel_id":"500"}}',
        b"\xff",
    ],
)
def test_a_frame_without_a_place_is_counted(frame: bytes) -> None:
    """There is nothing else to do about it."""
    events = seen(frame)
    assert (events.received, events.skipped, events.channels_to_rescan) == (1, {"malformed": 1}, set())


def test_other_channels_are_counted_and_left() -> None:
    """Whatever else is wrong with them."""
    assert seen(("MESSAGE_CREATE", {"channel_id": "501"})).skipped == {"not_monitored": 1}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("500"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ids", "channel_id", "guild_id", "message_id", "content", "type"]), inner
        )
    ),
    max_leaves=8,
)


@given(kind=st.sampled_from(sorted(CAPTURED)), data=_JSON)
def test_no_frame_makes_it_fail(kind: str, data: Any) -> None:
    """Every frame is looked at, and skipped at most once."""
    events = seen((kind, data))
    assert events.received == 1
    assert events.skipped.total() <= 1
