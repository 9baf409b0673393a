"""Worlds for the fake exporter, and runners on them, shared by the tests around it."""

from __future__ import annotations

import io
import json
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from upath import UPath

from ingest_pipeline.demo.fake_exporter import main
from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter, ExportRequest

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
    """Return a runner on a fake in a folder, whose quarantine is `folder/quarantine`."""
    return ChatExporter(
        stand_in(folder, **changes),
        SecretStr(token),
        timeout_seconds=timeout_seconds,
        grace_seconds=0.5,
        quarantine=UPath(folder / "quarantine"),
    )


def files_in(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run(executable: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an executable with a bare environment and the right token."""
    return subprocess.run(
        [str(executable), *arguments],
        env={"DISCORD_TOKEN": TOKEN, "FUCK_RUSSIA": "true", "TZ": "UTC", **environment},
        cwd=executable.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_here(world: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the fake's main function in this process, as `run` does in one of its own."""
    stdout, stderr = io.StringIO(), io.StringIO()
    given = {"DISCORD_TOKEN": TOKEN, "FUCK_RUSSIA": "true", **environment}
    with redirect_stdout(stdout), redirect_stderr(stderr):
        exit_code = main(arguments, world, given)
    return subprocess.CompletedProcess([], exit_code, stdout.getvalue(), stderr.getvalue())


def export(folder: Path, *arguments: str, environment: dict[str, str] | None = None, **world: Any) -> Any:
    """Export the channel of a world to `folder/out.json` and return the finished run."""
    command = ("export", "-c", str(CHANNEL_ID), "-f", "json", "-o", str(folder / "out.json"))
    return run_here(write_world(folder, **world), *command, *arguments, **(environment or {}))
