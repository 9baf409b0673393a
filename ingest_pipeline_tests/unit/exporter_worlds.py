"""Worlds for the stand-in exporter, and runners on them, shared by the tests around it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ingest_pipeline.capture.chat_exporter import ChatExporter, ExportRequest
from ingest_pipeline.demo.install import install_stand_in
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window

TOKEN = "MTA5ODc2NTQzMjEwOTg3NjU0.GaBcDe.invented-token-of-the-tests_0123456789"
CHANNEL_ID = 1_101_802_452_224_856_174
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(minutes=5))
REQUEST = ExportRequest(CHANNEL_ID, WINDOW)


def message(seconds: float, content: str = "`Leclerc` Box, box.", low_bits: int = 7) -> dict[str, Any]:
    """Return a message posted so many seconds after `START`."""
    return {"id": str(first_id_at(START + timedelta(seconds=seconds)) + low_bits), "content": content}


FOUR_MESSAGES = [message(seconds) for seconds in (1, 60, 120, 299)]


def write_world(folder: Path, **changes: Any) -> Path:
    """Write a world with one channel; `messages` and `channel` change that, all else the world."""
    channel = {
        "id": str(CHANNEL_ID),
        "name": "team-radio",
        "category": "Race weekend",
        "messages": changes.pop("messages", FOUR_MESSAGES),
        **changes.pop("channel", {}),
    }
    world = {
        "now": (START + timedelta(hours=1)).isoformat(),
        "token": TOKEN,
        "guild": {"id": "690000000000000001", "name": "Paddock", "iconUrl": "https://example.org/i.png"},
        "channels": [channel],
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "world.json"
    path.write_text(json.dumps(world), encoding="utf-8")
    return path


def stand_in(folder: Path, **changes: Any) -> Path:
    """Write a world and an executable that serves it."""
    return install_stand_in(folder / "bin", write_world(folder, **changes))


def exporter(
    folder: Path, *, timeout_seconds: float = 30, token: str = TOKEN, **changes: Any
) -> ChatExporter:
    """Return a runner on a stand-in in a folder, whose quarantine is `folder/quarantine`."""
    return ChatExporter(
        stand_in(folder, **changes),
        SecretStr(token),
        timeout_seconds=timeout_seconds,
        grace_seconds=0.5,
        quarantine_dir=folder / "quarantine",
    )


def files_in(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
