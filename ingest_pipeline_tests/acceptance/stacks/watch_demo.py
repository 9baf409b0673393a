"""Watch the running demo and hold its table against what was really posted.

    ./start.sh --demo &
    .venv/bin/python -m ingest_pipeline_tests.acceptance.stacks.watch_demo --minutes 10 --outage-minutes 3

Every second the table is read as any SQL client would read it, and each message's time from posted
to queryable is taken. In the middle the daemon can be killed, again and again, for some minutes. At
the end the table is compared with the simulation, which knows every message it ever posted.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import psutil

from ingest_pipeline.demo.simulated_session import Scene
from ingest_pipeline.domain.sessions.session import live_sessions
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.storage.messages.sessions import list_sessions

GRACE = timedelta(seconds=60)


def live_scene(settings: Settings) -> tuple[str, Scene]:
    """Return the live demo session's id and the simulation behind it."""
    with open_database(settings).read() as connection:
        session = live_sessions(list_sessions(connection), datetime.now(UTC))[0]
    world = json.loads((settings.data_dir / "demo_world.json").read_text())
    (channel,) = world["channels"]
    stated = next(
        scene for scene in channel["scenes"] if datetime.fromisoformat(scene["start"]) == session.start_time
    )
    scene = Scene(session.start_time, stated["seed"], stated["minutes"], int(channel["id"]))
    return session.session_id, scene


def stored_ids(settings: Settings, scene: Scene) -> list[int]:
    """Return the ids in the table since the scene began."""
    with open_database(settings).read() as connection:
        rows = connection.fetch_all(
            "ids_in_window",
            channel_ids=[scene.channel_id],
            start=scene.start,
            end=scene.start + timedelta(minutes=scene.minutes),
        )
    return [row["discord_id"] for row in rows]


def kill_daemon(settings: Settings) -> int:
    """Kill the demo's daemon with SIGKILL and return how many processes that were."""
    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = Path(process.cwd()).is_relative_to(settings.data_dir)
            if is_ours and process.name() == "ingest-daemon":
                process.kill()
                killed += 1
    return killed


def watch(settings: Settings, minutes: float, outage_minutes: float) -> dict[str, object]:
    """Watch for some minutes and return the figures."""
    session_id, scene = live_scene(settings)
    began = datetime.now(UTC)
    end = began + timedelta(minutes=minutes)
    outage = began + timedelta(minutes=(minutes - outage_minutes) / 2)
    recovery = outage + timedelta(minutes=outage_minutes)
    seen: dict[int, datetime] = dict.fromkeys(stored_ids(settings, scene), began)
    kills = 0
    while (now := datetime.now(UTC)) < end:
        if outage_minutes and outage <= now < recovery:
            kills += kill_daemon(settings)
        for snowflake in stored_ids(settings, scene):
            seen.setdefault(snowflake, datetime.now(UTC))
        time.sleep(1)
    stored = stored_ids(settings, scene)
    now = datetime.now(UTC)
    truth, settled = scene.truth(now), scene.truth(now - GRACE)
    expected = set(settled.visible) & set(truth.visible) - truth.without_text
    delays = {
        snowflake: (first - created_at(snowflake)).total_seconds()
        for snowflake, first in seen.items()
        if created_at(snowflake) >= began
    }
    undisturbed = [
        delay
        for snowflake, delay in delays.items()
        if not outage_minutes or not outage - GRACE <= created_at(snowflake) < recovery + 2 * GRACE
    ]
    return {
        "session": session_id,
        "minutes": minutes,
        "posted_until_a_minute_ago": len(expected),
        "rows": len(stored),
        "missing": len(expected - set(stored)),
        "double": len(stored) - len(set(stored)),
        "invented": len(set(stored) - set(truth.visible) - truth.deleted),
        "daemon_kills": kills,
        "delay_median_seconds": round(median(undisturbed), 1),
        "delay_p95_seconds": round(quantiles(undisturbed, n=20)[-1], 1),
        "delay_worst_seconds": round(max(undisturbed), 1),
        "delay_worst_with_outage_seconds": round(max(delays.values()), 1),
    }


def main() -> None:
    """Watch and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=PROJECT_ROOT / "data" / "demo")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--outage-minutes", type=float, default=0)
    arguments = parser.parse_args()
    settings = load_settings(data_dir=arguments.data_dir.resolve())
    print(json.dumps(watch(settings, arguments.minutes, arguments.outage_minutes), indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
