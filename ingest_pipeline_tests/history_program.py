"""An import in a process of its own, to be killed.

Its arguments are the guild's id, the data folder and, for PostgreSQL, the database's URL.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pydantic import SecretStr

from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import open_rest
from ingest_pipeline_tests.fake_discord.server import TOKEN


async def run(guild_id: int, settings: Settings) -> None:
    """Import a guild's history in small batches."""
    async with open_rest(settings.discord_bot_token) as rest:
        await import_history(build_services(settings), rest, guild_id, batch_rows=100)


def main() -> None:
    """Build the settings and run."""
    guild_id, folder, *url = sys.argv[1:]
    settings = Settings(
        _env_file=None,
        data_dir=Path(folder),
        database_url=SecretStr(url[0]) if url else None,
        discord_bot_token=SecretStr(TOKEN),
    )
    asyncio.run(run(int(guild_id), settings))
