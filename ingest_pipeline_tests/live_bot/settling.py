"""When a bot has nothing left to do: asked of the simulated Discord, the database and the spool."""

from __future__ import annotations

import time
from collections.abc import Hashable
from pathlib import Path

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.spool import SPOOL_FOLDER
from ingest_pipeline.storage.engine.database import Database
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
    owed = _Owed(services.database)
    while calm_looks < _CALM_LOOKS or time.monotonic() - calm_since < _CALM_SECONDS:
        left = _unsettled(server, services.settings.data_dir / SPOOL_FOLDER, owed)
        if left:
            calm_looks = 0
        else:
            calm_since = calm_since if calm_looks else time.monotonic()
            calm_looks += 1
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not settled after {seconds:.0f} s: {left or 'only just'}")
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


class _Owed:
    """What a database says is left to do, read again after each commit only: reading a DuckDB file opens it.

    Attributes:
        left: How much of what, at the last look.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version: Hashable = None
        self._checkpoint: str | None = None
        self.left: dict[str, int] = {}

    def refresh(self, identity: str) -> str | None:
        """Look at the database if it has changed, and return how far a spool is processed."""
        version = self._database.version()
        if version is None or version != self._version:
            with self._database.read() as connection:
                self.left = {
                    "messages to read again": count_pending_refetches(connection),
                    "channels to catch up on": sum(
                        each.missed_since is not None for each in list_watched(connection).values()
                    ),
                    "readings under way": sum(run.status in _UNDER_WAY for run in list_runs(connection)),
                }
                self._checkpoint = get_state(connection, f"gateway_checkpoint:{identity}")
            self._version = version
        return self._checkpoint


def _unsettled(server: DiscordServer, spool: Path, owed: _Owed) -> str:
    """Say what is left to do, nothing when all is done."""
    if not server.gateway.connected():
        return "the bot is not connected"
    if not server.gateway.settled():
        return "events are on their way"
    if not (spool / "identity").exists():
        return "there is no spool yet"
    checkpoint = owed.refresh((spool / "identity").read_text(encoding="ascii").strip()) or "0:0"
    left = owed.left | {"bytes in the spool": _spooled(spool, checkpoint)}
    return ", ".join(f"{count} {what}" for what, count in left.items() if count)


def _spooled(spool: Path, checkpoint: str) -> int:
    """Return how much of the spool is not processed."""
    segment, offset = (int(part) for part in checkpoint.split(":"))
    sizes = {int(path.stem): path.stat().st_size for path in spool.glob("*.jsonl")}
    behind = sum(size for number, size in sizes.items() if number > segment)
    return behind + max(sizes.get(segment, 0) - offset, 0)
