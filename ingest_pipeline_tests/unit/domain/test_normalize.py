"""Every message becomes a row or one counted skip, and the same message always the same row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.messages.normalize import (
    ChannelPolicy,
    SkipReason,
    build_normalizer,
    parse_snowflakes,
    parse_timestamp,
)
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message

SESSION = Window(START, START + timedelta(hours=2))


def decide(
    fields: dict[str, Any] | None, policy: ChannelPolicy | None = None, window: Window | None = SESSION
) -> dict[str, Any] | SkipReason:
    """Normalize one message given in the exporter's form; a reason when it is not taken."""
    raw = None if fields is None else msgspec.convert(fields, RawMessage)
    rows = build_normalizer(CHANNEL_ID, policy or ChannelPolicy(), window)([raw])
    assert len(rows.kept) + len(rows.skipped) == 1
    if rows.skipped:
        return rows.skipped[0]
    kept = {name: values[0] for name, values in rows.columns.items()}
    return kept["skip_reason"] or kept


def row(fields: dict[str, Any], policy: ChannelPolicy | None = None) -> dict[str, Any]:
    """Normalize one message that must become a row."""
    result = decide(fields, policy)
    assert not isinstance(result, SkipReason), result
    return result


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (None, SkipReason.MALFORMED),
        (message(id=None), SkipReason.NO_ID),
        (message(id="x1"), SkipReason.NO_ID),
        (message(id=0), SkipReason.NO_ID),
        (message(timestamp=None), SkipReason.NO_TIMESTAMP),
        (message(timestamp=""), SkipReason.NO_TIMESTAMP),
        (message(timestamp="yesterday"), SkipReason.BAD_TIMESTAMP),
        (message(timestamp="2026-09-06T13:00:00"), SkipReason.BAD_TIMESTAMP),
        (message(timestamp=1757163600), SkipReason.BAD_TIMESTAMP),
        (message(timestamp="0001-01-01T00:00:00+14:00"), SkipReason.BAD_TIMESTAMP),
        (message(-0.001), SkipReason.OUTSIDE_WINDOW),
        (message(timedelta(hours=2)), SkipReason.OUTSIDE_WINDOW),
        (message(content=None), SkipReason.NO_CONTENT),
        (message(content=" \n"), SkipReason.NO_CONTENT),
        (message(content="", attachments=[{"id": "1"}]), SkipReason.MEDIA_ONLY),
        (message(content="", embeds=[{"url": "https://x.example"}]), SkipReason.MEDIA_ONLY),
        (message(content="", stickers=[{"id": "1"}]), SkipReason.MEDIA_ONLY),
        (message(content="", forwardedMessage={"attachments": [{"id": "1"}]}), SkipReason.MEDIA_ONLY),
        (message(content="", reference={"messageId": "1"}), SkipReason.FORWARD_NOT_EXPORTED),
        (message(-86_400, id=str(CHANNEL_ID)), SkipReason.THREAD_STARTER),
    ],
)
def test_what_becomes_no_row_has_one_reason(fields: dict[str, Any] | None, reason: SkipReason) -> None:
    """The reasons the documentation lists."""
    assert decide(fields) is reason


def test_the_message_that_a_thread_began_with_is_kept() -> None:
    """It is a forum post's first one, or the parent channel's, which the merge knows by its lower channel."""
    assert row(message(1, id=str(CHANNEL_ID)))["discord_id"] == CHANNEL_ID


def test_the_bounds_are_half_open() -> None:
    """A message at the start is taken, one at the end is not."""
    assert row(message(0))["posted_at"] == SESSION.start


@pytest.mark.parametrize("absent", ["id", "timestamp", "content"])
def test_an_absent_key_is_like_null(absent: str) -> None:
    """Exporters leave keys out."""
    fields = message()
    del fields[absent]
    assert isinstance(decide(fields), SkipReason)


def test_a_channel_of_clips_keeps_what_has_no_text() -> None:
    """The policy decides, and what carries nothing at all stays out."""
    keep = ChannelPolicy(keep_media_only=True)
    kept = row(message(content="", attachments=[{"id": "1", "fileName": "a.mp4", "fileSizeBytes": 3}]), keep)
    assert (kept["raw_content"], kept["attachment_count"]) == ("", 1)
    assert decide(message(content=""), keep) is SkipReason.NO_CONTENT


def test_a_message_that_is_not_taken_is_a_row_with_its_reason() -> None:
    """Known or not is for the merge to find out: an edit may have emptied it."""
    raw = msgspec.convert(message(content="", attachments=[{"id": "1", "fileName": "a.mp4"}]), RawMessage)
    normalize = build_normalizer(CHANNEL_ID, ChannelPolicy(), SESSION)
    skipped = normalize([raw])
    kept = build_normalizer(CHANNEL_ID, ChannelPolicy(keep_media_only=True), SESSION)([raw])
    assert (skipped.kept, skipped.skipped) == ([0], [])
    assert skipped.columns["skip_reason"] == [SkipReason.MEDIA_ONLY]
    assert {**skipped.columns, "skip_reason": [None]} == kept.columns


def test_a_forwarded_text_is_the_text() -> None:
    """The raw content stays empty, as Discord has it."""
    kept = row(message(content="", forwardedMessage={"content": "Box"}), ChannelPolicy(keep_media_only=True))
    assert (kept["raw_content"], kept["message_text"]) == ("", "Box")


def test_team_radio_is_split_into_driver_and_text() -> None:
    """The raw content stays whole."""
    kept = row(message())
    assert (kept["driver"], kept["message_text"]) == ("Leclerc", "Box, box.")
    assert kept["raw_content"] == ":studio_microphone: `Leclerc` Box, box."


def test_the_driver_may_be_the_authors_name() -> None:
    """For channels where a webhook takes the driver's name."""
    kept = row(message(content=" :\u200b ||Box|| `now`"), ChannelPolicy(driver_from="author_name"))
    assert (kept["driver"], kept["message_text"]) == ("radio", "Box `now`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-06T13:00:00+00:00", START),
        ("2026-09-06T22:00:00.1+09:00", START + timedelta(milliseconds=100)),
        ("2026-09-06T13:00:00.1234567+00:00", START + timedelta(microseconds=123456)),
        ("2026-09-06T13:00:00.5Z", START + timedelta(milliseconds=500)),
    ],
)
def test_every_form_of_time_the_exporter_writes_is_read(text: str, expected: datetime) -> None:
    """Up to seven digits, any offset."""
    assert parse_timestamp(text) == expected


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()))
def test_any_value_is_a_utc_time_or_none(value: object) -> None:
    """Never an exception."""
    moment = parse_timestamp(value)
    assert moment is None or moment.tzinfo is UTC


IDS: st.SearchStrategy[object] = st.one_of(
    st.integers(1, 2**63 - 1).map(str),
    st.integers(),
    st.text("0123456789,-+ \u0663x", max_size=21),
    st.sampled_from([None, True, 1.0, [], {}, "18446744073709551616", "007", "1,2", "\ud800"]),
)


@given(st.lists(IDS, max_size=6) | st.lists(st.none() | st.integers(0, 2**64).map(str)))
def test_ids_read_together_are_those_read_one_by_one(values: list[object]) -> None:
    """Whatever stands among them."""
    assert parse_snowflakes(values) == [parse_snowflake(value) for value in values]


def test_messages_normalized_together_are_those_normalized_one_by_one() -> None:
    """Every column keeps to its message, also when some become no row and authors share an id."""
    ann, again = ({"id": "7", "name": "ann", "nickname": name, "isBot": False} for name in ("Ann", "A."))
    messages = [
        message(author=ann, reactions=[{"emoji": {"name": "x"}, "count": 2}, {"count": 3}]),
        message(id=None),
        message(1, author=again, timestampEdited=START.isoformat(), content="caf\u00e9 \U0001f3ce\ufe0f\x00"),
        message(2, content=""),
        message(3, author=None, embeds=[{"title": "line\nbreak\r\u2028"}], reference={"messageId": "5"}),
        message(4, type="Reply", isPinned=True, stickers=[{"id": "4"}], attachments=[{"fileName": "a.png"}]),
    ]
    normalize = build_normalizer(CHANNEL_ID, ChannelPolicy(), SESSION)
    raws = [msgspec.convert(fields, RawMessage) for fields in messages]
    together = normalize(raws)
    alone = [normalize([raw]) for raw in raws]
    assert together.kept == [0, 2, 3, 4, 5]
    assert together.skipped == [SkipReason.NO_ID]
    assert together.columns["skip_reason"] == [None, None, SkipReason.NO_CONTENT, None, None]
    assert {name: list(values) for name, values in together.columns.items()} == {
        name: [value for rows in alone for value in rows.columns[name]] for name in together.columns
    }
    assert together.columns["author_nickname"][:2] == ["Ann", "A."]


def test_the_digest_of_a_message_stays_what_databases_hold() -> None:
    """Another one would make every stored message look changed."""
    kept = row(
        message(
            reactions=[{"emoji": {"id": "5", "name": "x"}, "count": 2}], timestampEdited=START.isoformat()
        )
    )
    assert kept["content_digest"] == -1689612076984058599


PICTURE = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=66aa&is=66bb&hm=cc"


@pytest.mark.parametrize(
    "again",
    [
        message(author={"id": "594020924865620473", "name": "radio", "nickname": "radio", "isBot": True}),
        message(attachments=[{"id": "9", "fileName": "a.png", "fileSizeBytes": 1, "url": PICTURE + "dd"}]),
        message(embeds=[{"title": "t", "image": {"url": PICTURE.replace("66aa", "77aa")}}]),
        message(reactions=[{"emoji": {"id": "", "name": "x"}, "count": 1, "users": []}]),
    ],
)
def test_what_flaps_between_two_reads_is_no_change(again: dict[str, Any]) -> None:
    """Nicknames, signatures of addresses and lists of reactors differ without anything having happened."""
    first = {
        **again,
        "author": message()["author"],
        "attachments": [{**item, "url": PICTURE} for item in again["attachments"]],
        "embeds": [{**item, "image": {"url": PICTURE}} for item in again["embeds"]],
        "reactions": [{**item, "users": [{"id": "1", "name": "u"}]} for item in again["reactions"]],
    }
    assert row(first)["content_digest"] == row(again)["content_digest"]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "other"},
        {"timestampEdited": START.isoformat()},
        {"isPinned": True},
        {"type": "Reply"},
        {"attachments": [{"id": "9", "fileName": "a.png", "fileSizeBytes": 1}]},
        {"embeds": [{"title": "t"}]},
        {"stickers": [{"id": "4", "name": "s"}]},
        {"reactions": [{"emoji": {"name": "x"}, "count": 1}]},
        {"reference": {"messageId": "77"}},
    ],
)
def test_what_people_see_is_a_change(change: dict[str, Any]) -> None:
    """Each part of a message counts."""
    assert row(message())["content_digest"] != row(message(**change))["content_digest"]


PARTS: dict[str, dict[str, Any]] = {
    "attachments": {"id": "9", "fileName": "a.png", "fileSizeBytes": 1},
    "embeds": {"title": "t", "url": "u", "description": "d", "fields": [{"name": "n", "value": "v"}]},
    "stickers": {"id": "4", "name": "s"},
    "reactions": {"emoji": {"id": "5", "name": "x"}, "count": 1},
}


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("attachments", {"id": "8"}),
        ("attachments", {"fileName": "b.png"}),
        ("attachments", {"fileSizeBytes": 2}),
        ("embeds", {"title": "other"}),
        ("embeds", {"url": "other"}),
        ("embeds", {"description": "other"}),
        ("embeds", {"author": {"name": "a"}}),
        ("embeds", {"footer": {"text": "f"}}),
        ("embeds", {"image": {"url": "i"}}),
        ("embeds", {"thumbnail": {"url": "i"}}),
        ("embeds", {"video": {"url": "i"}}),
        ("embeds", {"fields": [{"name": "n", "value": "other"}]}),
        ("embeds", {"fields": [{"name": "other", "value": "v"}]}),
        ("stickers", {"id": "5"}),
        ("stickers", {"name": "other"}),
        ("reactions", {"emoji": {"id": "6", "name": "x"}}),
        ("reactions", {"emoji": {"id": "5", "name": "y"}}),
        ("reactions", {"count": 2}),
    ],
)
def test_a_change_inside_a_part_is_a_change(part: str, change: dict[str, Any]) -> None:
    """As when a file is put in the place of another of its name."""
    fields: list[dict[str, Any]] = [{part: [PARTS[part]]}, {part: [PARTS[part] | change]}]
    before, after = (message(**each) for each in fields)
    assert row(before)["content_digest"] != row(after)["content_digest"]
    assert row(before)[part] != row(after)[part]


def test_the_names_of_reasons_are_those_that_reports_show() -> None:
    """Scripts that count them go by the names."""
    assert [reason.value for reason in SkipReason] == [
        *("malformed", "no_id", "no_timestamp", "bad_timestamp", "outside_window", "thread_starter"),
        *("forward_not_exported", "no_content", "media_only", "erased"),
    ]


def test_a_message_without_words_has_none() -> None:
    """Not in the text either."""
    clip = message(content="", attachments=[{"id": "9", "fileName": "a.mp4", "fileSizeBytes": 1}])
    kept = row(clip, policy=ChannelPolicy(keep_media_only=True))
    assert (kept["raw_content"], kept["message_text"], kept["driver"]) == ("", "", None)
    assert (kept["attachment_count"], kept["embed_count"], kept["reaction_count"]) == (1, 0, 0)
    assert (kept["embeds"], kept["stickers"], kept["reactions"]) == ("[]", "[]", "[]")


def test_nul_is_replaced_so_that_both_engines_hold_the_same() -> None:
    """PostgreSQL cannot store it."""
    assert row(message(content="a\x00b"))["raw_content"] == "a\ufffdb"


@pytest.mark.parametrize("count", ["7", 7, 7.0])
def test_numbers_come_in_any_json_type(count: object) -> None:
    """Older exporters and other tools write some of them as text."""
    kept = row(message(reactions=[{"emoji": {"name": "x"}, "count": count}], type=19))
    assert (kept["reaction_count"], kept["message_type"]) == (7, "Reply")


@pytest.mark.parametrize("count", [None, "many", -3, 10**30])
def test_an_impossible_count_is_brought_into_range(count: object) -> None:
    """It never stops an import."""
    assert (
        0 <= row(message(reactions=[{"count": count if count != 10**30 else 1e30}]))["reaction_count"] < 2**31
    )
