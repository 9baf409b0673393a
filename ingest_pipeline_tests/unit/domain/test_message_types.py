"""A message type has one name, whichever source it came from."""

from __future__ import annotations

from typing import Any

import discord
import msgspec
import pytest

from ingest_pipeline.domain.messages.message import MESSAGE_TYPES, RawMessage, type_in_digest, type_name
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline_tests.exports import CHANNEL_ID, message

# What DiscordChatExporter 2.47 writes for types that it has a name for; 2.48 adds PollResult for 46.
EXPORTER_2_47 = {
    0: "Default",
    1: "RecipientAdd",
    2: "RecipientRemove",
    3: "Call",
    4: "ChannelNameChange",
    5: "ChannelIconChange",
    6: "ChannelPinnedMessage",
    7: "GuildMemberJoin",
    18: "ThreadCreated",
    19: "Reply",
}
EXPORTER_2_48 = EXPORTER_2_47 | {46: "PollResult"}
# The types that the exporter writes a text of its own for; the texts of other tests would differ.
TEXTS = {4: "Changed the channel name: x", 5: "Changed the channel icon.", 6: "Pinned a message."}
TEXTS |= {7: "Joined the server.", 18: "Started a thread."}


def row(raw: RawMessage) -> dict[str, Any]:
    """Return the row of a message."""
    rows = build_normalizer(CHANNEL_ID, ChannelPolicy(), None)([raw])
    return {name: values[0] for name, values in rows.columns.items()}


def exported(kind: str | int, content: str) -> dict[str, Any]:
    """Return the row of a message in the exporter's form."""
    return row(msgspec.convert(message(type=kind, content=content), RawMessage))


def sent(kind: int) -> dict[str, Any]:
    """Return the row of the same message as REST and the gateway send it."""
    reported = message()
    author = reported["author"]
    return row(
        raw_message(
            {
                "id": reported["id"],
                "type": kind,
                "timestamp": reported["timestamp"],
                "content": "x",
                "author": {"id": author["id"], "username": author["name"], "bot": author["isBot"]},
            }
        )
    )


@pytest.mark.parametrize("number", [*range(65), 999])
def test_every_source_gives_a_type_the_same_name_and_digest(number: int) -> None:
    """Older and newer exporters, REST and the gateway, for known and unknown numbers."""
    rows = [sent(number)]
    rows += [
        exported(names.get(number, str(number)), TEXTS.get(number, "x"))
        for names in (EXPORTER_2_47, EXPORTER_2_48)
    ]
    assert {each["message_type"] for each in rows} == {MESSAGE_TYPES.get(number, str(number))}
    assert len({each["content_digest"] for each in rows}) == 1


def test_the_table_names_every_type_that_discord_py_knows() -> None:
    """And no name twice."""
    assert {each.value for each in discord.MessageType} <= MESSAGE_TYPES.keys()
    assert len(set(MESSAGE_TYPES.values())) == len(MESSAGE_TYPES)
    assert MESSAGE_TYPES.items() >= EXPORTER_2_48.items()


def test_names_that_nobody_knows_stay_as_they_are() -> None:
    """An exporter that is newer than the table, and a message without a type."""
    assert (type_name("SomethingNew"), type_name(999), type_name(None)) == ("SomethingNew", "999", "Default")


@pytest.mark.parametrize("number", [8, 20, 21, 46])
def test_a_type_that_got_a_name_keeps_its_number_in_the_digest(number: int) -> None:
    """Rows that were stored under the number do not change when their messages are read again."""
    assert type_in_digest(MESSAGE_TYPES[number]) == str(number)
    assert type_in_digest("Reply") == "Reply"


def test_the_digest_of_a_numbered_type_is_the_one_that_databases_hold() -> None:
    """Computed before the type had a name."""
    assert exported("21", "x")["content_digest"] == -1967811456973661264
