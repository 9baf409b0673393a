"""The table against what a perfect archive would hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline_tests.discord_server.server import DiscordServer
from ingest_pipeline_tests.discord_server.truth import MessageTruth

_EVERYTHING = {"table": "messages", "columns": "*", "key": "discord_id"}
_MOST_ROWS = 10**7


@dataclass(frozen=True)
class Differences:
    """How many rows are not as they should be.

    Attributes:
        live: Messages that should be there.
        missing: Of these, those that are not.
        double: Rows beyond the first of each message.
        stale: Messages whose content, edit time, pin, embeds or reactions are not the latest.
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
    """Compare some channels."""
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
    stale = {each for each in truth.keys() & live.keys() if _stored(live[each]) != _true(truth[each])}
    examples = [
        *(f"missing {each} in {truth[each].channel_id}" for each in sorted(missing)[:3]),
        *(f"zombie {each} in {live[each]['channel_id']}" for each in sorted(zombie)[:3]),
        *(f"stale {each}: {_stored(live[each])}, not {_true(truth[each])}" for each in sorted(stale)[:3]),
    ]
    return Differences(
        live=len(truth),
        missing=len(missing),
        double=sum(counted.values()) - len(counted),
        stale=len(stale),
        zombie=len(zombie),
        examples=tuple(examples),
    )


def _stored(row: dict[str, Any]) -> tuple[Any, ...]:
    reactions = {item["emoji"]: item["count"] for item in json.loads(row["reactions"])}
    return (row["raw_content"], row["edited_at"], row["is_pinned"], row["embed_count"], reactions)


def _true(message: MessageTruth) -> tuple[Any, ...]:
    return (message.content, message.edited_timestamp, message.pinned, message.embeds, message.reactions)
