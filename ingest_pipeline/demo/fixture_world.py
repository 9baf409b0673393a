"""The fixture world of the fake exporter: channels with their messages, read from a JSON file.

    {"version": "2.47", "token": null, "now": null, "fault": null,
     "guild": {"id": "1", "name": "Demo", "iconUrl": ""},
     "channels": [{"id": "2", "name": "team-radio", "type": "GuildTextChat", "fault": null,
                   "scenes": [{"start": "2026-01-01T12:00:00+00:00", "seed": 1, "minutes": 60}],
                   "messages": [{"id": "3", "content": "whatever the exporter writes"}]}]}

`token` is the only one accepted, null any or none. `now` stops the clock. A file beside it, named
like it with `.fault` at the end, holds the fault of the hour (`faults.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest_pipeline.demo.simulated_session import Scene, parse_start
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE, created_at


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the world file describes it."""

    channel_id: int
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.description.get("name", "general"))

    @property
    def kind(self) -> str:
        """The exporter's name for its type."""
        return str(self.description.get("type", "GuildTextChat"))

    def messages(self, now: datetime, low: int = 0, high: int = MAX_SNOWFLAKE) -> Iterator[dict[str, Any]]:
        """Yield the documents that can be read at a time, with ids in `(low, high]`, in id order."""
        scenes = [
            Scene(parse_start(scene["start"]), scene["seed"], scene["minutes"], self.channel_id)
            for scene in self.description.get("scenes", [])
        ]
        for scene in sorted(scenes, key=lambda scene: scene.start):
            yield from scene.messages_visible(now, low=low, high=high)
        given = [complete(message) for message in self.description.get("messages", [])]
        for message in sorted(given, key=lambda message: int(message["id"])):
            if low < int(message["id"]) <= high:
                yield message


@dataclass(frozen=True, slots=True)
class World:
    """The world file's content."""

    path: Path
    content: dict[str, Any]

    @property
    def now(self) -> datetime:
        """The time in it, aware UTC."""
        stopped = self.content.get("now")
        return parse_start(stopped) if stopped else datetime.now(UTC)

    @property
    def tenths_of_microsecond(self) -> int:
        """The seventh digit of the clock's fraction; 0 on a stopped clock."""
        return 0 if self.content.get("now") else time.time_ns() // 100 % 10

    def channel(self, channel_id: int) -> Channel | None:
        """Return the channel of an id, or None."""
        found = (channel for channel in self.channels() if channel.channel_id == channel_id)
        return next(found, None)

    def channels(self) -> list[Channel]:
        """Return every channel."""
        return [Channel(int(description["id"]), description) for description in self.content["channels"]]

    def fault_file(self) -> Path:
        """Return the file that holds the fault of the hour."""
        return self.path.with_name(f"{self.path.name}.fault")


def read_world(path: Path) -> World:
    """Read a world file."""
    return World(path, json.loads(path.read_text(encoding="utf-8")))


def complete(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with every key that the exporter always writes, in its order."""
    defaults: dict[str, Any] = {
        "id": message["id"],
        "type": "Default",
        "timestamp": created_at(int(message["id"])),
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": "",
        "author": {
            "id": "700000000000000009",
            "name": "someone",
            "discriminator": "0000",
            "nickname": "someone",
            "color": None,
            "isBot": False,
            "roles": [],
            "avatarUrl": "https://cdn.discordapp.com/embed/avatars/0.png",
        },
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
        "inlineEmojis": [],
    }
    return {**defaults, **message}
