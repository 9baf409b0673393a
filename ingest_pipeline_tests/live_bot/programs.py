"""The bot and an import in processes of their own, quicker than in earnest, to be measured and killed.

Started through `fake_discord.attach.command`. Their arguments are one JSON object, see `Program`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

import discord
from pydantic import SecretStr

from ingest_pipeline.bot.gateway_ingest import SpoolBatch
from ingest_pipeline.bot.listener import run_bot
from ingest_pipeline.bot.runtime import BotOptions
from ingest_pipeline.history.history_import import import_history_now
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.gateway import archive_intents
from ingest_pipeline_tests.fake_discord.server import TOKEN

QUICK = BotOptions(
    patterns=("*",),
    quiet=timedelta(seconds=0.3),
    refetch_poll_seconds=0.1,
    coverage_read_seconds=5.0,
    upkeep_seconds=0.5,
    retry_seconds=0.5,
    canary_interval_seconds=0.3,
    grace_seconds=0.6,
    ready_timeout_seconds=0.3,
)
"""The bot in a hurry: everything it does every now and then it does all the time."""


@dataclass(frozen=True)
class Program:
    """What a process is to work on.

    Attributes:
        data_dir: The data folder.
        database_url: PostgreSQL, or None for DuckDB.
        lookback_hours: How far before a gap the bot reads again.
        coverage_read_seconds: How often the bot proves what it heard.
        lags: Where the bot writes a line for each batch: how long each event took, in milliseconds.
        count: How many messages the empty client waits for.
        guild_id: What to import.
        force: Import from the first message on.
    """

    data_dir: str
    database_url: str | None = None
    lookback_hours: float = 24.0
    coverage_read_seconds: float = 5.0
    lags: str | None = None
    count: int = 0
    guild_id: int = 0
    force: bool = False

    def arguments(self) -> list[str]:
        """Return it as arguments of a process."""
        return [json.dumps(asdict(self))]

    def services(self) -> Services:
        """Build the working parts."""
        url = SecretStr(self.database_url) if self.database_url else None
        return build_services(
            Settings(
                _env_file=None,
                data_dir=Path(self.data_dir),
                database_url=url,
                discord_bot_token=SecretStr(TOKEN),
            )
        )


def _given() -> Program:
    return Program(**json.loads(sys.argv[1]))


def bot() -> None:
    """Run the bot until SIGTERM."""
    asyncio.run(_run_bot(_given()))


def import_guild() -> None:
    """Import a guild's history."""
    program = _given()
    import_history_now(program.services(), program.guild_id, force=program.force)


def empty_client() -> None:
    """Run discord.py with a handler that does nothing, until it was called often enough."""
    asyncio.run(_run_empty_client(_given().count))


async def _run_empty_client(count: int) -> None:
    client = discord.Client(intents=archive_intents(), max_messages=None)
    left = count

    async def on_message(_: discord.Message) -> None:
        nonlocal left
        left -= 1
        if not left:
            await client.close()

    client.event(on_message)
    await client.start(TOKEN)


async def _run_bot(program: Program) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = replace(
        QUICK,
        lookback=timedelta(hours=program.lookback_hours),
        coverage_read_seconds=program.coverage_read_seconds,
    )
    path = Path(program.lags) if program.lags else Path(os.devnull)
    with path.open("a", encoding="ascii") as file:

        def note(batch: SpoolBatch) -> None:
            lags = [batch.committed_at - received_at for received_at in batch.received_at]
            file.write(" ".join(f"{lag / timedelta(milliseconds=1):.1f}" for lag in lags) + "\n")
            file.flush()

        await run_bot(program.services(), SecretStr(TOKEN), stop, options=options, observe=note)
