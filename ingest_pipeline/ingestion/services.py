"""The services of the use cases, built once from the settings by each entry point."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.window import WindowGrid
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.documents.normalized_store import NormalizedStore
from ingest_pipeline.ingestion.raw_landing import RawLanding
from ingest_pipeline.landing.store import LandingStore
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.rest import DiscordRest, open_rest
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.engine.open import open_database
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import load_settings_file

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """The project's working parts.

    Attributes:
        settings: The settings they were built from.
        database: Sessions, messages and the coverage ledger.
        landing: Raw exports, and messages as the gateway and REST sent them.
        raw: The way into the raw store.
        normalized: Normalized Parquet files.
        exporter: Runs of the exporter.
    """

    settings: Settings
    database: Database
    landing: LandingStore
    raw: RawLanding
    normalized: NormalizedStore
    exporter: ChatExporter

    @property
    def grid(self) -> WindowGrid:
        """How sessions are cut into windows."""
        return window_grid(self.settings)

    def policies(self, connection: Connection, channel_ids: Collection[int]) -> dict[int, ChannelPolicy]:
        """Return how some channels' messages are taken now.

        Raises:
            ConfigurationError: `data/settings.yaml` or what is set by command is wrong.
        """
        file = load_settings_file(self.settings.settings_file, groups=False)
        in_force = effective_settings(connection, file, channel_ids)
        return {channel_id: settings.policy for channel_id, settings in in_force.items()}

    def settings_problem(self, *, groups: bool) -> str | None:
        """Return what is wrong with `data/settings.yaml`, with the line, or None.

        Args:
            groups: Whether groups such as `highlights` are looked at, without which messages are still taken.
        """
        try:
            load_settings_file(self.settings.settings_file, groups=groups)
        except ConfigurationError as error:
            return str(error)
        return None

    def read_policies(self, channel_ids: Collection[int]) -> dict[int, ChannelPolicy]:
        """Do as `policies` in a transaction of its own."""
        with self.database.read() as connection:
            return self.policies(connection, channel_ids)


def window_grid(settings: Settings) -> WindowGrid:
    """Return the grid that the settings ask for."""
    count = -(-settings.session_max_hours * 60 // settings.window_minutes)
    return WindowGrid(width=timedelta(minutes=settings.window_minutes), count=count)


def build_services(settings: Settings) -> Services:
    """Build everything; no file is opened and nothing is connected until first use."""
    database, landing = open_database(settings), LandingStore(settings.landing_root)
    return Services(
        settings=settings,
        database=database,
        landing=landing,
        raw=RawLanding(landing.raw if settings.land_raw else None, database),
        normalized=NormalizedStore(settings.normalized_root),
        exporter=ChatExporter(
            settings.exporter_path,
            settings.exporter_token,
            timeout_seconds=settings.exporter_timeout_seconds,
            quarantine=landing.quarantined,
        ),
    )


def read_by_bot_else_exporter(
    services: Services,
    purpose: str,
    by_bot: Callable[[DiscordRest], Awaitable[Result]],
    by_exporter: Callable[[Result | None], Result],
    is_enough: Callable[[Result], bool],
) -> Result:
    """Read with the bot and, where there is none or what it read is not enough, with the exporter.

    Args:
        purpose: What is read for, as a verb, for the error.
        by_bot: Reads with the bot, which is logged in.
        by_exporter: Reads with the exporter what is left of what the bot read; None without a bot.
        is_enough: Whether what the bot read is all that was wanted.

    Raises:
        ConfigurationError: There is neither a bot's nor an account's token.
        IngestError: As of the source that reads.
    """
    settings = services.settings
    if settings.discord_bot_token is None and settings.discord_oauth_token is None:
        raise ConfigurationError(
            f"neither DISCORD_BOT_TOKEN nor DISCORD_OAUTH_TOKEN is set: put one into .env to {purpose} with"
        )

    async def with_bot() -> Result:
        async with open_rest(settings.discord_bot_token) as rest:
            return await by_bot(rest)

    found = None
    if settings.discord_bot_token is not None:
        found = asyncio.run(with_bot())
        if settings.discord_oauth_token is None or is_enough(found):
            return found
    return by_exporter(found)
