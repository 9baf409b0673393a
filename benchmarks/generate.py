"""Realistic exporter JSON of any size: field order, Unicode, reactions, embeds, attachments, 3 % defects.

    python -m benchmarks.generate 100000 /some/folder/100k.json

The same size and seed give the same bytes, so that runs can be compared.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest_pipeline.demo.post import CHAT, DRIVERS, RADIO
from ingest_pipeline.domain.snowflake import first_id_at

CHANNEL_ID = 1101802452224856174
START = datetime(2023, 1, 1, tzinfo=UTC)
DEFECTS = 0.03
_ROLE = {"id": "1210854164828425287", "name": "Paddock", "color": "#E91E63", "position": 5}


def messages(count: int, seed: int = 1, changed: float = 0.0) -> Iterator[dict[str, Any]]:
    """Yield messages in the exporter's form.

    Args:
        count: How many.
        seed: Another seed, other messages.
        changed: Part of them that is edited after the first read.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
    edits = random.Random(seed + 1)  # noqa: S311 - the same
    for index in range(count):
        posted_at = START + timedelta(milliseconds=2500 * index + rng.randrange(2000))
        message = _message(rng, index, posted_at)
        if edits.random() < changed:
            message["timestampEdited"] = (posted_at + timedelta(hours=1)).isoformat()
            message["content"] = f"{message['content']} (edited)"
        yield message


def write(
    path: Path,
    count: int,
    *,
    seed: int = 1,
    changed: float = 0.0,
    hours_later: int = 0,
    content: Callable[[int], str] | None = None,
) -> Path:
    """Write an export document as the exporter does, and return its path.

    Args:
        path: The file.
        count: Messages.
        seed: Another seed, other messages.
        changed: Part of them that is edited after the first read.
        hours_later: When it was exported.
        content: Returns what a message says in place of team radio and chat, by its number.
    """
    head = {
        "guild": {"id": "821079772408964274", "name": "Formula", "iconUrl": "https://example.invalid/g.png"},
        "channel": {
            "id": str(CHANNEL_ID),
            "type": "GuildTextChat",
            "categoryId": "821079772408964275",
            "category": "Race weekend",
            "name": "team-radio",
            "topic": "Every word between car and pit wall",
        },
        "dateRange": {"after": None, "before": None},
        "exportedAt": (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours_later)).isoformat(),
    }
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "messages": [')
        for index, message in enumerate(messages(count, seed, changed)):
            if content:
                message["content"] = content(index)
            text = json.dumps(message, ensure_ascii=False, indent=2).replace("\n", "\n    ")
            file.write(f"{',' if index else ''}\n    {text}")
        file.write(f'\n  ],\n  "messageCount": {count}\n}}')
    return path


def _message(rng: random.Random, index: int, posted_at: datetime) -> dict[str, Any]:
    driver = rng.choice(DRIVERS)
    is_radio = rng.random() < 0.7
    text = rng.choice(RADIO) if is_radio else rng.choice(CHAT)
    snowflake = first_id_at(posted_at) + index % 4096
    message: dict[str, Any] = {
        "id": str(snowflake),
        "type": "Default",
        "timestamp": posted_at.isoformat(timespec="milliseconds"),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": f":studio_microphone: `{driver}` {text}" if is_radio else f"{text} \U0001f3ce\ufe0f é 편",
        "author": _author(rng),
        "attachments": [_attachment(snowflake)] if rng.random() < 0.05 else [],
        "embeds": [_embed()] if rng.random() < 0.04 else [],
        "stickers": [],
        "reactions": [_reaction(rng) for _ in range(rng.choice((0, 0, 0, 0, 1, 2)))],
        "mentions": [],
        "inlineEmojis": [],
    }
    return _spoil(rng, message) if rng.random() < DEFECTS else message


def _author(rng: random.Random) -> dict[str, Any]:
    number = rng.randrange(500)
    return {
        "id": str(700_000_000_000_000_000 + number),
        "name": f"fan{number}",
        "discriminator": "0000",
        "nickname": f"Fan {number} \U0001f1ee\U0001f1f9",
        "color": "#E91E63",
        "isBot": False,
        "roles": [_ROLE],
        "avatarUrl": f"https://cdn.discordapp.com/avatars/{number}/0123456789abcdef.png?size=512",
    }


def _attachment(snowflake: int) -> dict[str, Any]:
    return {
        "id": str(snowflake + 1),
        "url": f"https://cdn.discordapp.com/attachments/1/{snowflake}/clip.mp4?ex=66aa&is=66bb&hm=0123456789",
        "fileName": "clip.mp4",
        "fileSizeBytes": 474830,
    }


def _embed() -> dict[str, Any]:
    return {
        "title": "Sector times",
        "url": "https://example.invalid/times",
        "timestamp": None,
        "description": "S1 purple, S2 green, S3 yellow. " * 4,
        "thumbnail": {"url": "https://example.invalid/t.png", "width": 120, "height": 80},
        "images": [],
        "fields": [{"name": "Lap", "value": "1:21.046", "isInline": True}],
        "inlineEmojis": [],
    }


def _reaction(rng: random.Random) -> dict[str, Any]:
    people = [
        {
            "id": str(700_000_000_000_000_000 + rng.randrange(500)),
            "name": "fan",
            "discriminator": "0000",
            "nickname": "Fan",
            "isBot": False,
            "avatarUrl": "https://cdn.discordapp.com/embed/avatars/0.png",
        }
        for _ in range(rng.choice((1, 1, 2)))
    ]
    emoji = {
        "id": "",
        "name": "\U0001f525",
        "code": "fire",
        "isAnimated": False,
        "imageUrl": "https://x.invalid",
    }
    return {"emoji": emoji, "count": len(people), "users": people}


def _spoil(rng: random.Random, message: dict[str, Any]) -> dict[str, Any]:
    defect = rng.choice(("content", "content", "timestamp", "bad", "id"))
    if defect == "bad":
        message["timestamp"] = "yesterday"
    elif defect == "content":
        message["content"] = ""
    else:
        del message[defect]
    return message


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    write(arguments.path, arguments.count)


if __name__ == "__main__":
    main()
