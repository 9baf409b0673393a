"""The log of a command: its lines, their form, and the level of each component."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.redaction import redact
from ingest_pipeline.settings import Settings

_OURS = "ingest_pipeline"
# discord.py alone logs rate limits and late heartbeats.
_DISCORD = "discord"
# A lost connection is an event of this project, in one line instead of a traceback; nothing here speaks.
_LEFT_OUT = ("Attempting a reconnect in ", "PyNaCl is not installed", "davey is not installed")


def start_logging(settings: Settings, *, is_verbose: bool = False, as_json: bool = False) -> None:
    """Write the log to standard error.

    Args:
        settings: They name the levels.
        is_verbose: Log our own debug messages, in place of the level in the settings.
        as_json: Write one JSON object a line instead of text.

    Raises:
        ConfigurationError: There is no such level.
    """
    level = "DEBUG" if is_verbose else settings.log_level.upper()
    if level not in logging.getLevelNamesMapping():
        raise ConfigurationError(
            f"INGEST_LOG_LEVEL is {settings.log_level!r}: use DEBUG, INFO, WARNING or ERROR"
        )
    components = settings.component_log_levels
    for name in {_OURS, _DISCORD} | {name.partition(".")[0] for name in components}:
        source = "" if name == _OURS else "%(name)s: "
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(
            _JsonFormatter() if as_json else logging.Formatter(f"%(levelname)s {source}%(message)s")
        )
        logging.getLogger(name).handlers = [handler]
    logging.getLogger(_OURS).setLevel(level)
    logging.getLogger(_DISCORD).setLevel("WARNING")
    logging.getLogger(f"{_DISCORD}.client").addFilter(_is_kept)
    # Events repeat as JSON what a command prints in words.
    is_readable = not as_json and level != "DEBUG"
    logging.getLogger(f"{_OURS}.events").setLevel("ERROR" if is_readable else "NOTSET")
    set_component_levels(settings)


def set_component_levels(settings: Settings) -> None:
    """Give each component that the settings name its level, wherever its lines go."""
    for name, level in settings.component_log_levels.items():
        logging.getLogger(name).setLevel(level)


def _is_kept(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_LEFT_OUT)


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
