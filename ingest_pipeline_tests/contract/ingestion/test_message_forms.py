"""Forwards, embeds, components and polls, read by every source in any order.

Bots post team radio, setups and clips in these forms; a message of which nothing is kept is a record lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest_pipeline.content.extraction import extract_for
from ingest_pipeline.content.rules import ContentRules
from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, SkipReason, build_normalizer
from ingest_pipeline.ingestion.documents.document import Tally, normalized_rows, rows_table
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.merge import MergeCounts, merge_messages
from ingest_pipeline.userconfig.settings_file import SettingsFile
from ingest_pipeline_tests.contract.content_messages import contents
from ingest_pipeline_tests.contract.readings import stored_messages

FORMS = Path(__file__).resolve().parents[2] / "fixtures" / "forms"
CHANNEL, GUILD = 1101802452224856174, 826
NOW = datetime(2026, 9, 6, 14, tzinfo=UTC)
ID = "1546142928076800001"
AUTHOR = {"id": "800000000000000001", "username": "radio", "bot": True}
EXPORTED_AUTHOR = {"id": "800000000000000001", "name": "radio", "nickname": "radio", "isBot": True}


def payload(**fields: Any) -> dict[str, Any]:
    """Return a message object as REST and the gateway have it."""
    plain = {"id": ID, "channel_id": str(CHANNEL), "type": 0, "timestamp": "2026-09-06T13:00:00+00:00"}
    return {**plain, "author": AUTHOR, "content": "", "attachments": [], "embeds": [], **fields}


def exported(**fields: Any) -> dict[str, Any]:
    """Return a message as the exporter writes it."""
    plain = {"id": ID, "type": "Default", "timestamp": "2026-09-06T13:00:00+00:00", "content": ""}
    return {**plain, "author": EXPORTED_AUTHOR, "attachments": [], "embeds": [], **fields}


RADIO = ":studio_microphone: `Leclerc` Box, box."
POLL = {
    "question": {"text": "Who wins?"},
    "answers": [
        {"answer_id": n, "poll_media": {"text": text}} for n, text in ((1, "Leclerc"), (2, "Norris"))
    ],
    "expiry": "2026-09-07T13:00:00+00:00",
    "results": {"is_finalized": False, "answer_counts": [{"id": 1, "count": 7, "me_voted": False}]},
}
FILE = {"id": "11", "filename": "goal.mp4", "size": 1234, "url": "https://cdn.example/a/goal.mp4"}
EXPORTED_FILE = {
    "id": "11",
    "fileName": "goal.mp4",
    "fileSizeBytes": 1234,
    "url": "https://cdn.example/a/goal.mp4",
}
COMPONENTS = json.loads((FORMS / "components_v2.json").read_text())["components"]

# By form: what Discord's own object says, what an export does, and the words and driver of the row.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str | None]] = {
    "forward": (
        {
            "message_reference": {"type": 1, "message_id": "7", "channel_id": "8", "guild_id": "9"},
            "message_snapshots": [{"message": {"content": RADIO, "timestamp": "2026-09-06T12:00:00+00:00"}}],
        },
        {
            "reference": {"type": "Forward", "messageId": "7", "channelId": "8", "guildId": "9"},
            "forwardedMessage": {"content": RADIO, "timestamp": "2026-09-06T12:00:00+00:00"},
        },
        "Box, box.",
        "Leclerc",
    ),
    "embed": (
        {
            "embeds": [
                {"title": "Leclerc", "description": "Box, box.", "fields": [{"name": "Lap", "value": "54"}]}
            ]
        },
        {
            "embeds": [
                {"title": "Leclerc", "description": "Box, box.", "fields": [{"name": "Lap", "value": "54"}]}
            ]
        },
        "Leclerc\nBox, box.\nLap\n54",
        None,
    ),
    "components": ({"flags": 32768, "components": COMPONENTS}, {}, "Box, box.", "Leclerc"),
    "poll": ({"poll": POLL}, {}, "Who wins?\nLeclerc\nNorris", None),
    "described file": (
        {
            "attachments": [
                {**FILE, "description": "The goal", "content_type": "video/mp4", "duration_secs": 9.5}
            ]
        },
        {"attachments": [EXPORTED_FILE]},
        "The goal",
        None,
    ),
    "content and components": (
        {"content": "Listen:", "components": COMPONENTS},
        {"content": "Listen:"},
        f"Listen:\n{RADIO}",
        None,
    ),
}
SOURCES = ("gateway", "history", "export")

WORDS = "\U0001f399\ufe0f: Box, ||box||.\u200b"
# By where the driver is named: the embed of a bot, the same for every source.
EMBEDS: dict[str, dict[str, Any]] = {
    "embed_title": {"title": "\U0001f399\ufe0f Leclerc:", "description": WORDS},
    "embed_author": {"author": {"name": "`Leclerc`"}, "description": WORDS},
    "embed_field": {"fields": [{"name": "\u200b", "value": "x"}, {"name": "Leclerc", "value": WORDS}]},
}


def read(
    connection: Connection, source: str, form: str, hour: float, *, keep_media: bool = False
) -> MergeCounts:
    """Merge one reading of a message by a source."""
    live, export, _, _ = CASES[form]
    return merge_form(connection, source, live, export, ChannelPolicy(keep_media_only=keep_media), hour)


def merge_form(
    connection: Connection,
    source: str,
    live: dict[str, Any],
    export: dict[str, Any],
    policy: ChannelPolicy,
    hour: float = 0,
) -> MergeCounts:
    """Merge one reading of a message, given as Discord's own object and as an export, by a source."""
    raw = (
        msgspec.convert(exported(**export), RawMessage)
        if source == "export"
        else raw_message(payload(**live))
    )
    tally = Tally()
    rows = normalized_rows(build_normalizer(0, policy, None), [raw], tally)
    shared = {
        "guild_id": GUILD,
        "channel_id": CHANNEL,
        "source": source,
        "correlation_id": f"{source}-{hour}",
    }
    observed = NOW + timedelta(hours=hour)
    table = rows_table(rows, {**shared, "observed_at": observed})
    return merge_messages(connection, table, now=observed)


class _Undone(Exception):
    """Raised to leave a transaction without a trace."""


@contextmanager
def _trial(database: Database) -> Iterator[Connection]:
    with suppress(_Undone), database.write() as connection:
        yield connection
        raise _Undone


@pytest.mark.slow
@pytest.mark.parametrize("form", CASES)
def test_three_sources_in_any_order_give_one_row_and_then_rest(database: Database, form: str) -> None:
    """The exporter carries no components, polls or descriptions, and takes none away."""
    _, _, text, driver = CASES[form]
    for order in permutations(SOURCES):
        with _trial(database) as connection:
            for hour, source in enumerate(order):
                read(connection, source, form, hour)
            (row,) = stored_messages(connection)
            assert (row["message_text"], row["driver"]) == (text, driver)
            for hour, source in enumerate((*order, *order), start=3):
                again = read(connection, source, form, hour)
                assert (again.created, again.updated, again.stale) == (0, 0, 0)
            assert stored_messages(connection)[0]["message_text"] == text


def test_what_a_source_that_knows_takes_away_goes(database: Database) -> None:
    """A poll or component that Discord's own object has no more is no longer a message's."""
    with database.write() as connection:
        read(connection, "gateway", "content and components", 0)
        CASES["without"] = (
            {"content": "Listen:", "edited_timestamp": "2026-09-06T13:30:00+00:00"},
            {},
            "",
            None,
        )
        try:
            counts = read(connection, "history", "without", 1)
        finally:
            del CASES["without"]
        assert counts.updated == 1
        (row,) = stored_messages(connection)
        assert row["message_text"] == "Listen:"


def import_form(database: Database, name: str, *, keep_media: bool = False) -> dict[str, Any]:
    """Merge the one message of a file and return its row."""
    document = json.loads((FORMS / f"{name}.json").read_text())
    message = document["messages"][0] if "messages" in document else document
    raw = msgspec.convert(message, RawMessage) if "messages" in document else raw_message(message)
    rows = normalized_rows(
        build_normalizer(0, ChannelPolicy(keep_media_only=keep_media), None), [raw], Tally()
    )
    shared = {
        "guild_id": GUILD,
        "channel_id": CHANNEL,
        "source": "file",
        "correlation_id": "c",
        "observed_at": NOW,
    }
    with database.write() as connection:
        merge_messages(connection, rows_table(rows, shared), now=NOW)
        (row,) = stored_messages(connection)
        extract_for(connection, [row["discord_id"]], ContentRules(), now=NOW)
    return row


def content(database: Database, table: str) -> list[dict[str, Any]]:
    """Return the rows of a content table."""
    page = {"table": table, "columns": "*", "key": "discord_id"}
    with database.read() as connection:
        return connection.fetch_all("read_first_page", page, maximum=100)


def test_a_forwarded_setup_is_a_setup(database: Database) -> None:
    """By the default policy, since it has words: two setups and a bias for the day of its heading."""
    row = import_form(database, "forwarded_setup")
    assert row["raw_content"] == ""
    assert "Rejection Near 486.50" in row["message_text"]
    setups = content(database, "trade_setups")
    triggers = {(each["ticker"], each["kind"], f"{each['trigger_price']:.2f}") for each in setups}
    assert triggers == {("QQQ", "rejection", "486.50"), ("QQQ", "breakout", "487.10")}
    assert {str(each["trading_day"]) for each in setups} == {"2026-05-15"}
    assert len(content(database, "ticker_biases")) == 1


def test_forwarded_radio_names_its_driver(database: Database) -> None:
    """The words without emoji and driver."""
    row = import_form(database, "forwarded_radio")
    assert (row["driver"], row["message_text"]) == ("Norris", "Tyres are gone.")
    assert [each["driver"] for each in content(database, "radio_messages")] == ["Norris"]


def test_a_forwarded_video_is_a_clip(database: Database) -> None:
    """It is an attachment of the message that passes it on."""
    row = import_form(database, "forwarded_clip", keep_media=True)
    assert row["attachment_count"] == 1
    clips = content(database, "clips")
    assert [(each["file_name"], each["part"]) for each in clips] == [("goal.mp4", "forwarded.attachment[0]")]


def test_components_are_words_a_driver_and_a_clip(database: Database) -> None:
    """Of a text display and a gallery inside a container."""
    row = import_form(database, "components_v2")
    assert (row["driver"], row["message_text"], row["raw_content"]) == ("Leclerc", "Box, box.", "")
    clips = content(database, "clips")
    assert [(each["url"], each["part"]) for each in clips] == [
        ("https://cdn.example/x.mp4", "component.media")
    ]
    assert [each["driver"] for each in content(database, "radio_messages")] == ["Leclerc"]


def test_a_forward_that_an_old_exporter_writes_empty_changes_nothing(database: Database) -> None:
    """Before 2.47 it is a reference and no words: nothing was read of it."""
    raw = msgspec.convert(exported(reference={"messageId": "7"}), RawMessage)
    rows = build_normalizer(0, ChannelPolicy(), None)([raw])
    assert rows.skipped == [SkipReason.FORWARD_NOT_EXPORTED]
    assert not rows.kept


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("place", EMBEDS)
@pytest.mark.parametrize("is_forwarded", [False, True])
def test_a_bots_embed_is_team_radio_where_the_channel_is_reported(
    database: Database, source: str, place: str, *, is_forwarded: bool
) -> None:
    """The driver and the words are those of the embed: in the message and in its radio row alike."""
    embed = {**EMBEDS[place], "footer": {"text": "Lap 54"}}
    policy = ChannelPolicy(driver_from=place)  # type: ignore[arg-type]
    settings = SettingsFile(channels={CHANNEL: {"driver_from": place}})
    link = {"type": 1, "message_id": "7", "channel_id": "8", "guild_id": "9"}
    sent: dict[str, Any] = {"embeds": [embed]}
    reported: dict[str, Any] = {"embeds": [embed]}
    if is_forwarded:
        sent = {"message_reference": link, "message_snapshots": [{"message": {**sent, "content": ""}}]}
        reported = {
            "reference": {"type": "Forward", "messageId": "7", "channelId": "8", "guildId": "9"},
            "forwardedMessage": {**reported, "content": "", "timestamp": "2026-09-06T12:00:00+00:00"},
        }
    with database.write() as connection:
        merge_form(connection, source, sent, reported, policy)
        extract_for(connection, [int(ID)], ContentRules(settings=settings), now=NOW)
        [row] = stored_messages(connection)
        [radio] = contents(connection, "radio_messages")["radio_messages"]
    others = "\u200b\nx\nLap 54" if place == "embed_field" else "Lap 54"
    assert (row["driver"], row["message_text"]) == ("Leclerc", f"Box, box.\n{others}")
    assert (radio["driver"], radio["radio_text"]) == ("Leclerc", "Box, box.")
