"""The views `polls`, `message_attachments` and `message_reactions`, filled by every source."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.ingestion.documents.document import Tally, normalized_rows, rows_table
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.queries import find_message
from ingest_pipeline_tests.contract.ingestion.test_message_forms import (
    CHANNEL,
    EXPORTED_FILE,
    FILE,
    GUILD,
    ID,
    NOW,
    POLL,
    content,
    exported,
    payload,
)

RESULT_ID = str(int(ID) + 1)
RESULT = {
    "id": RESULT_ID,
    "embeds": [
        {
            "type": "poll_result",
            "fields": [
                {"name": "poll_question_text", "value": "Who wins?"},
                {"name": "victor_answer_votes", "value": "8"},
                {"name": "total_votes", "value": "11"},
                {"name": "victor_answer_id", "value": "1"},
                {"name": "victor_answer_text", "value": "Leclerc"},
            ],
        }
    ],
}
TOLD_LIVE = payload(**RESULT) | {"type": 46, "message_reference": {"message_id": ID}}
TOLD_BY_EXPORT = exported(**RESULT, reference={"messageId": ID}) | {"type": "PollResult"}


def read(
    database: Database, messages: list[dict[str, Any]], source: str = "gateway", hour: float = 0
) -> None:
    """Merge messages as a source has them."""
    raws = [
        msgspec.convert(each, RawMessage) if source == "export" else raw_message(each) for each in messages
    ]
    rows = normalized_rows(build_normalizer(0, ChannelPolicy(keep_media_only=True), None), raws, Tally())
    observed = NOW + timedelta(hours=hour)
    shared = {"guild_id": GUILD, "channel_id": CHANNEL, "source": source, "correlation_id": "c"}
    table = rows_table(rows, {**shared, "observed_at": observed})
    database.run(lambda connection: merge_messages(connection, table, now=observed))


@pytest.mark.parametrize("source", ["gateway", "history"])
def test_a_poll_is_a_row_with_its_votes(database: Database, source: str) -> None:
    """As counted when it was last read, until it has a result."""
    read(database, [payload(poll={**POLL, "allow_multiselect": True})], source)
    (row,) = content(database, "polls")
    answers = json.loads(row.pop("answers"))
    assert answers == [
        {"id": 1, "text": "Leclerc", "votes": 7},
        {"id": 2, "text": "Norris", "votes": 0},
    ]
    assert row == {
        "discord_id": int(ID),
        "channel_id": CHANNEL,
        "posted_at": datetime(2026, 9, 6, 13, tzinfo=UTC),
        "question": "Who wins?",
        "ends_at": datetime(2026, 9, 7, 13, tzinfo=UTC),
        "allows_several": True,
        "is_final": False,
        "total_votes": 7,
        "winner": None,
        "winner_votes": None,
        "result_message_id": None,
    }


@pytest.mark.parametrize("source", ["gateway", "history", "export"])
def test_a_result_joins_its_poll_in_any_order(database: Database, source: str) -> None:
    """It may come from a source that carries no polls, and before the poll."""
    result = TOLD_BY_EXPORT if source == "export" else TOLD_LIVE
    reported = (("gateway", payload(poll=POLL)), (source, result))
    for order in permutations(reported):
        for by, message in order:
            read(database, [message], by)
        (row,) = content(database, "polls")
        assert (row["discord_id"], row["winner"], row["winner_votes"]) == (int(ID), "Leclerc", 8)
        assert (row["total_votes"], row["is_final"]) == (11, True)
        assert row["result_message_id"] == int(RESULT_ID)


def test_of_a_poll_in_exports_its_result_is_known(database: Database) -> None:
    """The exporter writes the poll itself without a word."""
    read(database, [TOLD_BY_EXPORT], "export")
    (row,) = content(database, "polls")
    assert (row["discord_id"], row["question"], row["answers"]) == (int(ID), "Who wins?", None)
    assert (row["total_votes"], row["winner"], row["ends_at"]) == (11, "Leclerc", None)


@pytest.mark.parametrize("source", ["gateway", "export"])
def test_the_words_of_a_result_are_the_question_and_the_winner(database: Database, source: str) -> None:
    """Names of fields and numbers are none; fields of other embeds are all words."""
    other = {"fields": [{"name": "total_votes", "value": "11"}]}
    result = TOLD_BY_EXPORT if source == "export" else TOLD_LIVE
    read(database, [result | {"embeds": [*RESULT["embeds"], other]}], source)
    with database.read() as connection:
        row = find_message(connection, int(RESULT_ID))
    assert row is not None
    assert row["message_text"] == "Who wins?\nLeclerc\ntotal_votes\n11"


def test_a_poll_with_unreadable_values_keeps_the_rest(database: Database) -> None:
    """A time or a number that is none does not break the view for all others."""
    votes = {"is_finalized": True, "answer_counts": [{"id": 1, "count": "many"}, {"id": 2, "count": 1e300}]}
    read(database, [payload(poll={**POLL, "expiry": "soon", "results": votes})])
    (row,) = content(database, "polls")
    assert (row["ends_at"], row["is_final"]) == (None, True)
    assert row["total_votes"] == 2**31 - 1


CLIP = FILE | {
    "content_type": "video/mp4",
    "width": 1920,
    "height": 1080,
    "duration_secs": 9.5,
    "title": "The goal",
    "description": "From behind",
    "flags": 9,
    "clip_created_at": "2026-09-06T12:58:00.5+00:00",
    "clip_participants": [{"id": "801"}, {"id": "802"}],
    "application": {"name": "Rocket"},
}


@pytest.mark.parametrize("order", list(permutations(("gateway", "export"))))
def test_an_attachment_has_all_that_any_source_has_of_it(database: Database, order: tuple[str, ...]) -> None:
    """A stream clip's facts are Discord's own; an export, which lacks them, takes none away."""
    for hour, source in enumerate(order):
        message = exported(attachments=[EXPORTED_FILE]) if source == "export" else payload(attachments=[CLIP])
        read(database, [message], source, hour)
    (row,) = content(database, "message_attachments")
    assert json.loads(row.pop("participant_ids")) == ["801", "802"]
    assert row == {
        "discord_id": int(ID),
        "attachment_number": 1,
        "channel_id": CHANNEL,
        "posted_at": datetime(2026, 9, 6, 13, tzinfo=UTC),
        "attachment_id": 11,
        "file_name": "goal.mp4",
        "url": "https://cdn.example/a/goal.mp4",
        "size_bytes": 1234,
        "content_type": "video/mp4",
        "width": 1920,
        "height": 1080,
        "duration_seconds": 9.5,
        "title": "The goal",
        "description": "From behind",
        "is_clip": True,
        "is_spoiler": True,
        "is_voice_message": False,
        "waveform_samples": None,
        "clip_created_at": datetime(2026, 9, 6, 12, 58, 0, 500_000, UTC),
        "application": "Rocket",
        "is_forwarded": False,
    }


def test_a_clip_of_a_stream_states_when_it_was_cut(database: Database) -> None:
    """Also one whose name is no video's: its type is Discord's."""
    read(database, [payload(attachments=[CLIP | {"filename": "clip"}])])
    database.run(lambda connection: extract_for(connection, [int(ID)], ContentRules(), now=NOW))
    (clip,) = content(database, "clips")
    assert (clip["is_stream_clip"], clip["part"]) == (True, "attachment[0]")
    assert clip["clip_created_at"] == datetime(2026, 9, 6, 12, 58, 0, 500_000, UTC)


def test_voice_spoilers_and_forwarded_files_are_distinguished(database: Database) -> None:
    """By what Discord says, or by the name where only an export was read."""
    voice = {"id": "21", "filename": "voice-message.ogg", "size": 9, "url": "https://cdn.example/v.ogg"}
    voice |= {"duration_secs": 4.2, "waveform": "AAECAwQF", "content_type": "audio/ogg"}
    link = {"type": 1, "message_id": "7", "channel_id": "8"}
    snapshot = {"message": {"content": "", "attachments": [FILE | {"width": 640}]}}
    read(
        database,
        [
            payload(flags=8192, attachments=[voice]),
            payload(id="1546142928076800003", message_reference=link, message_snapshots=[snapshot]),
        ],
    )
    spoiler = {
        "id": "31",
        "fileName": "SPOILER_x.png",
        "fileSizeBytes": 1,
        "url": "https://cdn.example/x.png",
    }
    read(database, [exported(id="1546142928076800004", attachments=[spoiler])], "export")
    rows = content(database, "message_attachments")
    found = [
        (row["is_voice_message"], row["waveform_samples"], row["duration_seconds"], row["is_spoiler"])
        for row in rows
    ]
    assert found == [(True, 6, 4.2, False), (False, None, None, False), (False, None, None, True)]
    assert [(row["is_forwarded"], row["width"]) for row in rows] == [
        (False, None),
        (True, 640),
        (False, None),
    ]
    assert rows[2]["content_type"] == "image/png"


def test_reactions_are_rows_with_their_bursts(database: Database) -> None:
    """Normal and burst reactions where Discord distinguishes them."""
    reactions = [
        {"emoji": {"id": None, "name": "🔥"}, "count": 5, "count_details": {"normal": 3, "burst": 2}},
        {"emoji": {"id": "77", "name": "pog"}, "count": 1, "count_details": {"normal": 1, "burst": 0}},
    ]
    read(database, [payload(content="Goal", reactions=reactions)])
    rows = sorted(content(database, "message_reactions"), key=lambda row: row["reaction_count"])
    found = [(row["emoji"], row["reaction_count"], row["normal_count"], row["burst_count"]) for row in rows]
    assert found == [("pog:77", 1, None, None), ("🔥", 5, 3, 2)]


def test_what_a_deleted_message_held_is_not_shown(database: Database) -> None:
    """The views show live messages."""
    read(
        database, [payload(poll=POLL, attachments=[FILE], reactions=[{"emoji": {"name": "🔥"}, "count": 1}])]
    )
    views = ("polls", "message_attachments", "message_reactions")
    assert [len(content(database, view)) for view in views] == [1, 1, 1]
    gone = Tombstone(int(ID), CHANNEL, GUILD, NOW, "gateway", "c2")
    database.run(lambda connection: tombstone_messages(connection, [gone]))
    assert [len(content(database, view)) for view in views] == [0, 0, 0]
