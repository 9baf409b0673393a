"""The pipeline in a program of your own: ingesting exports, the bot, and the journey of a message.

The names in `__all__` are public, like those of `ingest_pipeline.definitions`; how long they stay is in
docs/in_your_dagster.md. Nothing here knows Dagster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest_pipeline.environment import load_environment
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.files.reports import FilesReport, ImportScope
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.monitoring.tracing import Journey, trace
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.deletions import list_messages

__all__ = [
    "Journey",
    "Services",
    "Settings",
    "ingest_exports",
    "journey",
    "open_services",
    "run_bot",
    "session_messages",
]


@contextmanager
def open_services(settings: Settings | None = None) -> Iterator[Services]:
    """Open the database and stores of a deployment, and close them afterwards.

    Args:
        settings: The deployment; by default that of the environment and the `.env` file.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    services = build_services(settings or load_environment())
    try:
        yield services
    finally:
        services.database.close()


def ingest_exports(services: Services, files: Sequence[str | Path]) -> FilesReport:
    """Import exports of DiscordChatExporter, with what their messages say.

    Args:
        files: JSON files, folders of them, ZIP and tar archives, or patterns.

    Returns:
        The result of each file; a damaged one does not stop the others.

    Raises:
        BadInput: There is no file.
        DatabaseBusy: Another process held the database for too long; call it again.
        DatabaseUnavailable: The database cannot be reached.
    """
    from ingest_pipeline.content.sessions import reading_content
    from ingest_pipeline.ingestion.files.file_import import import_files
    from ingest_pipeline.landing.files.found_files import find_files

    found = find_files([str(file) for file in files])
    return import_files(services, found, ImportScope(), on_rows_merged=reading_content(services))


async def run_bot(services: Services, stop: asyncio.Event) -> None:
    """Keep up with the watched channels until asked to stop.

    Args:
        stop: Ask by setting it; the events that were heard are stored first.

    Raises:
        BotEnded: Discord does not accept the bot: its token is wrong, or an intent is missing.
        ConfigurationError: There is no token, another bot uses the same data folder, or a setting is wrong.
    """
    from ingest_pipeline.bot import listener

    token = services.settings.discord_bot_token
    if token is None:
        raise ConfigurationError("DISCORD_BOT_TOKEN is not set: the bot cannot log in without it")
    await listener.run_bot(services, token, stop)


def journey(services: Services, identifier: str) -> Journey:
    """Return everything known of a message or a batch: its `status`, its `completed_stages`, its row.

    Args:
        identifier: A message's Discord id, or a correlation id, such as a Dagster run's id.

    Raises:
        NothingFound: Neither a message nor a journey with this id is known.
    """
    with services.database.read() as connection:
        return trace(connection, identifier)


def session_messages(services: Services, session_id: str) -> list[dict[str, Any]]:
    """Return the live messages of a session as the table has them, by time and id.

    Raises:
        DatabaseBusy: Another process held the database for too long.
    """
    with services.database.read() as connection:
        return list_messages(connection, session_id)
