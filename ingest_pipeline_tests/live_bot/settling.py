"""When a bot has nothing left to do: asked of the simulated Discord, the database and the spool."""

from __future__ import annotations

import time

from ingest_pipeline.bot.listener import SPOOL_FOLDER
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.gateway.refetch_queue import count_pending_refetches, list_watched
from ingest_pipeline.storage.runs.scan_runs import RunStatus, list_runs
from ingest_pipeline.storage.runs.state import get_state
from ingest_pipeline_tests.fake_discord.server import DiscordServer

_UNDER_WAY = {RunStatus.QUEUED, RunStatus.RUNNING}
_LOOK_SECONDS = 0.05
_CALM_SECONDS = 0.3
# A machine that stood still for a moment has not settled: the bot must have had its turns, too.
_CALM_LOOKS = 6


def settle(server: DiscordServer, services: Services, seconds: float) -> float:
    """Wait until nothing is left to do, for a while on end, and return how long it took.

    Raises:
        TimeoutError: Something is left; the message says what.
    """
    began = time.monotonic()
    calm_since, calm_looks = began, 0
    while calm_looks < _CALM_LOOKS or time.monotonic() - calm_since < _CALM_SECONDS:
        left = unsettled(server, services)
        if left:
            calm_looks = 0
        else:
            calm_since = calm_since if calm_looks else time.monotonic()
            calm_looks += 1
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not settled after {seconds:.0f} s: {left or 'only just'}")
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def unsettled(server: DiscordServer, services: Services) -> str:
    """Say what is left to do, nothing when all is done."""
    if not server.gateway.connected():
        return "the bot is not connected"
    if not server.gateway.settled():
        return "events are on their way"
    with services.database.read() as connection:
        left = {
            "messages to read again": count_pending_refetches(connection),
            "channels to catch up on": sum(
                each.missed_since is not None for each in list_watched(connection).values()
            ),
            "readings under way": sum(run.status in _UNDER_WAY for run in list_runs(connection)),
            "bytes in the spool": _spooled(connection, services),
        }
    return ", ".join(f"{count} {what}" for what, count in left.items() if count)


def _spooled(connection: Connection, services: Services) -> int:
    """Return how much of the spool is not processed; 1 when there is none yet."""
    folder = services.settings.data_dir / SPOOL_FOLDER
    if not (folder / "identity").exists():
        return 1
    identity = (folder / "identity").read_text(encoding="ascii").strip()
    known = get_state(connection, f"gateway_checkpoint:{identity}") or "0:0"
    segment, offset = (int(part) for part in known.split(":"))
    sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.jsonl")}
    behind = sum(size for number, size in sizes.items() if number > segment)
    return behind + max(sizes.get(segment, 0) - offset, 0)
