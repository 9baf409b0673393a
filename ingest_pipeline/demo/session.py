"""The demo's deployment: sessions, world file and fake exporter in a data folder of its own.

It is built again at every start and changes only what has to change: while its live session lasts,
that session stays; once it has ended, it stays as a finished one and another goes live.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from ingest_pipeline.demo.post import GUILD_ID
from ingest_pipeline.demo.simulated_session import Scene, parse_start
from ingest_pipeline.domain.sessions.session import Session

EXECUTABLE = "DiscordChatExporter.Cli"
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
CHANNEL_ID = 1_100_000_000_000_000_001
LIVE_MINUTES = 120
FINISHED_MINUTES = 60
# The live session is some minutes old at first sight, so that there is something to catch up with.
HEAD_START = timedelta(minutes=4)
# Not a secret: the fake accepts any token.
DEMO_TOKEN = "demo-account-token"  # noqa: S105

_SESSIONS_HEAD = (
    "# Written by the demo at every start. Your own sessions belong into sessions.yaml of the folder above.\n"
)


def install_stand_in(folder: Path, world: Path, python: Path | None = None) -> Path:
    """Write an executable that runs the fake, and return its path.

    It depends on no environment: interpreter, code and world stand in it as absolute paths.

    Args:
        folder: Where it is written; made when absent.
        world: The world file it serves; need not exist yet.
        python: The interpreter; this one when None.
    """
    code = (
        "import sys; "
        f"sys.path.insert(0, {str(_PACKAGE_PARENT)!r}); "
        "from pathlib import Path; "
        "from ingest_pipeline.demo.fake_exporter import main; "
        f"sys.exit(main(sys.argv[1:], Path({str(world.absolute())!r})))"
    )
    # Isolated and without site-packages: some ten milliseconds instead of a hundred.
    command = [str(python or Path(sys.executable)), "-I", "-S", "-c", code]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EXECUTABLE
    fresh = folder / f".{EXECUTABLE}.new"
    fresh.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    fresh.chmod(0o700)
    fresh.replace(path)
    return path


@dataclass(frozen=True, slots=True)
class Demo:
    """The files of the demo.

    Attributes:
        sessions: The finished ones and, last, the live one.
        scenes: What happens in each, in the same order.
        world: The fake's world file.
        exporter: The fake's executable.
    """

    sessions: list[Session]
    scenes: list[Scene]
    world: Path
    exporter: Path


def prepare_demo(data_dir: Path) -> dict[str, str]:
    """Build the demo in a data folder and return the environment that its parts need.

    Args:
        data_dir: The demo's own folder; its `sessions.yaml` is overwritten.

    Raises:
        OSError: The folder cannot be written.
    """
    demo = build_demo(data_dir, datetime.now(UTC))
    rows = [_row(session) for session in demo.sessions]
    text = _SESSIONS_HEAD + yaml.safe_dump({"sessions": rows}, sort_keys=False, allow_unicode=True)
    _replace_if_changed(data_dir / "sessions.yaml", text)
    return {
        "DISCORD_OAUTH_TOKEN": DEMO_TOKEN,
        "INGEST_EXPORTER_PATH": str(demo.exporter),
        # Yesterday's session counts as recent at any time of the day, and is sealed by itself.
        "INGEST_POST_SESSION_HOURS": "48",
    }


def build_demo(data_dir: Path, now: datetime) -> Demo:
    """Write world file and fake, and return the demo as it stands at a time.

    Args:
        data_dir: The demo's own folder; made when absent.
        now: Aware UTC; a live session is begun unless one is live then.

    Raises:
        OSError: The folder cannot be written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "demo_world.json"
    scenes = _scenes(_read(path), now)
    _replace_if_changed(path, json.dumps(_world(scenes), indent=2, ensure_ascii=False))
    return Demo(
        sessions=[_session(scene) for scene in scenes],
        scenes=scenes,
        world=path,
        exporter=install_stand_in(data_dir / "demo_exporter", path),
    )


def _scenes(world: Mapping[str, Any], now: datetime) -> list[Scene]:
    """Return the scenes so far, with a finished one at first and a live one at last."""
    given = world["channels"][0]["scenes"] if world else []
    scenes = [
        Scene(parse_start(scene["start"]), scene["seed"], scene["minutes"], CHANNEL_ID) for scene in given
    ]
    if not scenes:
        yesterday = (now - timedelta(days=1)).replace(hour=14, minute=0, second=0, microsecond=0)
        scenes = [Scene(yesterday, 1, FINISHED_MINUTES, CHANNEL_ID)]
    if now >= _end(scenes[-1]) or len(scenes) == 1:
        start = max(now.replace(second=0, microsecond=0) - HEAD_START, _end(scenes[-1]))
        scenes.append(Scene(start, len(scenes) + 1, LIVE_MINUTES, CHANNEL_ID))
    return scenes


def _session(scene: Scene) -> Session:
    is_race = scene.minutes == LIVE_MINUTES
    return Session(
        session_id=f"demo-{'race' if is_race else 'practice'}-{scene.start:%Y%m%d-%H%M}",
        start_time=scene.start,
        end_time=_end(scene),
        channel_ids=(scene.channel_id,),
        year=scene.start.year,
        round_number=scene.seed,
        session_type="Race" if is_race else "Practice 1",
        event_name="Demo Grand Prix",
        location="Simulated",
        country="Nowhere",
    )


def _end(scene: Scene) -> datetime:
    return scene.start + timedelta(minutes=scene.minutes)


def _row(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "year": session.year,
        "round_number": session.round_number,
        "session_type": session.session_type,
        "event_name": session.event_name,
        "location": session.location,
        "country": session.country,
        "start_time": session.start_time.isoformat(),
        "end_time": session.end_time.isoformat(),
        "channel_ids": list(session.channel_ids),
    }


def _world(scenes: list[Scene]) -> dict[str, Any]:
    return {
        "version": "2.47",
        "guild": {
            "id": str(GUILD_ID),
            "name": "Demo Paddock",
            "iconUrl": "https://cdn.discordapp.com/embed/avatars/0.png",
        },
        "channels": [
            {
                "id": str(CHANNEL_ID),
                "type": "GuildTextChat",
                "categoryId": str(GUILD_ID + 1),
                "category": "Race weekend",
                "name": "team-radio",
                "topic": "Every word between car and pit wall. Simulated.",
                "scenes": [
                    {"start": scene.start.isoformat(), "seed": scene.seed, "minutes": scene.minutes}
                    for scene in scenes
                ],
            }
        ],
    }


def _read(path: Path) -> Mapping[str, Any]:
    """Return the world so far; a file that is absent or damaged is not one, and the demo starts again."""
    try:
        world = json.loads(path.read_text(encoding="utf-8"))
        parse_start(world["channels"][0]["scenes"][-1]["start"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}
    return dict(world)


def _replace_if_changed(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    fresh = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
