"""Exports for tests: the real, anonymised ones, and documents of the exporter's shape made here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest_pipeline.domain.snowflake import first_id_at

REAL = Path(__file__).parent / "fixtures" / "exports"
GUILD_ID = 821079772408964274
CHANNEL_ID = 1101802452224856174
START = datetime(2026, 9, 6, 13, 0, tzinfo=UTC)


def message(
    after: timedelta | float = 0.0,
    content: str | None = ":studio_microphone: `Leclerc` Box, box.",
    **fields: Any,
) -> dict[str, Any]:
    """Return a message posted some seconds after `START`, in the exporter's form.

    Args:
        after: Time (or seconds) since `START`; also makes the id.
        content: Its text.
        **fields: Keys to add or replace, in the exporter's spelling.
    """
    posted_at = START + (after if isinstance(after, timedelta) else timedelta(seconds=after))
    return {
        "id": str(first_id_at(posted_at) + 1),
        "type": "Default",
        "timestamp": posted_at.isoformat(),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": content,
        "author": {
            "id": "594020924865620473",
            "name": "radio",
            "discriminator": "0000",
            "nickname": "Team Radio",
            "color": None,
            "isBot": True,
            "roles": [],
            "avatarUrl": "https://example.invalid/a.png",
        },
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        **fields,
    }


def export(messages: Iterable[object], **head: Any) -> dict[str, Any]:
    """Return a whole export document; `head` replaces keys, and None removes one."""
    listed = list(messages)
    document = {
        "guild": {"id": str(GUILD_ID), "name": "Formula", "iconUrl": "https://example.invalid/g.png"},
        "channel": {
            "id": str(CHANNEL_ID),
            "type": "GuildTextChat",
            "categoryId": None,
            "category": None,
            "name": "team-radio",
            "topic": None,
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": (START + timedelta(hours=3)).isoformat(),
        "messages": listed,
        "messageCount": len(listed),
    }
    document.update(head)
    return {key: value for key, value in document.items() if value is not None}


def as_bytes(document: object, indent: int | None = 2) -> bytes:
    """Return a document as the exporter writes it: indented by two, UTF-8."""
    return json.dumps(document, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")


def write_export(path: Path, messages: Iterable[object], **head: Any) -> Path:
    """Write an export document to a file and return its path."""
    path.write_bytes(as_bytes(export(messages, **head)))
    return path
