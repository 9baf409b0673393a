"""The start of every command: settings, logging, the database and the sessions file."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.redaction import redact

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
    from ingest_pipeline.private_files import keep_files_private

    keep_files_private()
    settings = load_environment(Path.cwd())
    invocation = invocation_of(context)
    _start_logging("DEBUG" if invocation.verbose else settings.log_level, as_json=as_json)
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


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a log record as JSON with time (UTC), level, logger and message."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry)


def _start_logging(level: str, *, as_json: bool) -> None:
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigurationError(f"INGEST_LOG_LEVEL is {level!r}: use DEBUG, INFO, WARNING or ERROR")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("ingest_pipeline")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    # Events repeat as JSON what a command tells in words.
    is_told_in_words = not as_json and level.upper() != "DEBUG"
    logging.getLogger("ingest_pipeline.events").setLevel("ERROR" if is_told_in_words else "NOTSET")
