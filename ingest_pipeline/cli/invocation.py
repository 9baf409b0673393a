"""The start of every command: settings, logging, the database and the sessions file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest_pipeline.errors import BadInput

if TYPE_CHECKING:
    from ingest_pipeline.ingestion.services import Services
    from ingest_pipeline.settings import Settings

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Invocation:
    """One run of the `ingest` command.

    Attributes:
        verbose: Whether debug messages and tracebacks are shown.
    """

    verbose: bool = False


def invocation_of(context: Any) -> Invocation:
    """Return the run that a Typer context belongs to."""
    return context.ensure_object(Invocation)  # type: ignore[no-any-return]


def begin(context: Any, *, as_json: bool = False) -> Settings:
    """Load the settings and start logging to standard error.

    Settings come from the environment and, below it, from the `.env` file that counts (`environment.py`).

    Args:
        context: The command's Typer context.
        as_json: Log one JSON object a line instead of text.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    from ingest_pipeline.environment import load_environment
    from ingest_pipeline.logs import start_logging
    from ingest_pipeline.private_files import keep_files_private

    keep_files_private()
    settings = load_environment(Path.cwd())
    start_logging(settings, is_verbose=invocation_of(context).verbose, as_json=as_json)
    return settings


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Build the working parts, with the sessions file taken over, and close the database afterwards.

    A sessions file with errors is warned of and leaves the sessions as they were.
    """
    from ingest_pipeline.ingestion.services import build_services
    from ingest_pipeline.userconfig.session_sync import sync_sessions_file

    services = build_services(settings)

    try:
        try:
            if sync_sessions_file(services.database, settings, datetime.now(UTC)):
                # Only for a file that has changed: importing it takes longer than some commands.
                from ingest_pipeline.content.sessions import read_relinked

                read_relinked(services)
        except BadInput as error:
            _logger.warning("the sessions file was not taken over: %s", error)
        yield services
    finally:
        services.database.close()
