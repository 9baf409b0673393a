"""The table against what a perfect archive would hold, field by field.

What ought to be in a row is worked out here from what people did in the simulated Discord, with none of
the product's code: a mistake of the product cannot hide by being made on both sides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.truth import MessageTruth

_EVERYTHING = {"table": "messages", "columns": "*", "key": "discord_id"}
_MOST_ROWS = 10**7
_SHOWN = 3
_TYPES = {0: "Default", 19: "Reply"}


@dataclass(frozen=True)
class Differences:
    """How many rows are not as they should be.

    Attributes:
        live: Messages that should be there.
        missing: Of these, those that are not.
        double: Rows beyond the first of each message.
        stale: Messages of which any field is not what it is now.
        zombie: Messages that are deleted and still live in the table, or never were.
    """

    live: int
    missing: int
    double: int
    stale: int
    zombie: int
    examples: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.double or self.stale or self.zombie)


def compare(server: DiscordServer, services: Services, channel_ids: Iterable[int]) -> Differences:
    """Compare some channels; a row of any other channel counts as a zombie."""
    truth = {
        message_id: message
        for channel_id in channel_ids
        for message_id, message in server.truth(channel_id).live.items()
    }
    with services.database.read() as connection:
        rows = connection.fetch_all("read_first_page", _EVERYTHING, maximum=_MOST_ROWS)
    counted = Counter(row["discord_id"] for row in rows)
    live = {row["discord_id"]: row for row in rows if row["deleted_at"] is None}
    missing = truth.keys() - live.keys()
    zombie = live.keys() - truth.keys()
    stale = {
        each: wrong for each in truth.keys() & live.keys() if (wrong := differing(truth[each], live[each]))
    }
    examples = [
        *(f"missing {each} in {truth[each].channel_id}" for each in sorted(missing)[:_SHOWN]),
        *(f"zombie {each} in {live[each]['channel_id']}" for each in sorted(zombie)[:_SHOWN]),
        *(f"stale {each}: {'; '.join(stale[each])}" for each in sorted(stale)[:_SHOWN]),
    ]
    return Differences(
        live=len(truth),
        missing=len(missing),
        double=sum(counted.values()) - len(counted),
        stale=len(stale),
        zombie=len(zombie),
        examples=tuple(examples),
    )


def differing(message: MessageTruth, row: dict[str, Any]) -> list[str]:
    """Return the fields in which a row is not what its message is, each with both values."""
    expected, stored = _expected(message), _stored(row)
    return [
        f"{name} is {stored[name]!r}, not {expected[name]!r}"
        for name in expected
        if stored[name] != expected[name]
    ]


def _expected(message: MessageTruth) -> dict[str, Any]:
    driver, text = _spoken(message.content)
    return {
        "channel_id": message.channel_id,
        "guild_id": message.guild_id,
        "posted_at": message.posted_at,
        "edited_at": message.edited_timestamp,
        "driver": driver,
        "author_id": message.author_id,
        "author_name": message.author_name,
        "author_is_bot": message.by_bot,
        "raw_content": message.content,
        "message_text": "\n".join([*filter(None, [text]), *message.embed_titles]),
        "message_type": _TYPES[message.kind],
        "is_pinned": message.pinned,
        "reference_id": message.refers_to,
        "attachments": [
            (str(each), name)
            for each, name in zip(message.attachment_ids, message.attachment_names, strict=True)
        ],
        "attachment_count": len(message.attachment_ids),
        "embeds": list(message.embed_titles),
        "embed_count": message.embeds,
        "reactions": message.reactions,
        "reaction_count": sum(message.reactions.values()),
    }


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "attachments": [(item["id"], item["file_name"]) for item in json.loads(row["attachments"])],
        "embeds": [item["title"] for item in json.loads(row["embeds"])],
        "reactions": {item["emoji"]: item["count"] for item in json.loads(row["reactions"])},
    }


def _spoken(content: str) -> tuple[str | None, str]:
    """Return who speaks and what is said in a message of `traffic.words`."""
    if "`" not in content:
        return None, content
    _, driver, text = content.split("`")
    return driver, text.strip()
