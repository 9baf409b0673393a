"""The level of each component, and which lines of libraries reach the log."""

from __future__ import annotations

import json
import logging

import pytest

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.logs import start_logging
from ingest_pipeline.settings import Settings, load_settings

DISCORD_CLIENT = logging.getLogger("discord.client")


def levels(text: str) -> Settings:
    """Return settings with levels of components."""
    return Settings(_env_file=None, log_levels=text)


def test_a_component_has_its_own_level(capsys: pytest.CaptureFixture[str]) -> None:
    """The longest name that fits a logger decides; libraries can be named, too."""
    start_logging(levels("ingest_pipeline.bot=debug, ingest_pipeline.content=error urllib3=info"))
    for name in ("bot.listener", "content.kind", "storage"):
        logging.getLogger(f"ingest_pipeline.{name}").debug("debug of %s", name)
        logging.getLogger(f"ingest_pipeline.{name}").warning("warning of %s", name)
    logging.getLogger("urllib3.connectionpool").info("a connection")
    assert capsys.readouterr().err.splitlines() == [
        "DEBUG debug of bot.listener",
        "WARNING warning of bot.listener",
        "WARNING warning of storage",
        "INFO urllib3.connectionpool: a connection",
    ]


@pytest.mark.parametrize("text", ["discord", "discord=loud", "=debug", "discord=debug;bot=debug"])
def test_what_is_no_level_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The setting is named, and so is the part that is wrong."""
    monkeypatch.setenv("INGEST_LOG_LEVELS", text)
    with pytest.raises(ConfigurationError, match=r"INGEST_LOG_LEVELS.*no level of a component"):
        load_settings()


def test_warnings_of_discord_py_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Rate limits and heartbeats; a lost connection, which has an event, and voice are left out."""
    start_logging(levels(""))
    logging.getLogger("discord.http").warning("We are being rate limited.")
    logging.getLogger("discord.gateway").info("Shard ID None has connected to Gateway.")
    DISCORD_CLIENT.error("Attempting a reconnect in %.2fs", 1.0)
    DISCORD_CLIENT.warning("PyNaCl is not installed, voice will NOT be supported")
    DISCORD_CLIENT.error("Ignoring exception in %s", "on_ready")
    assert capsys.readouterr().err.splitlines() == [
        "WARNING discord.http: We are being rate limited.",
        "ERROR discord.client: Ignoring exception in on_ready",
    ]


def test_lines_of_libraries_are_json_with_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine reads one form."""
    start_logging(levels(""), as_json=True)
    logging.getLogger("discord.gateway").warning("Shard ID %s heartbeat blocked", None)
    entry = json.loads(capsys.readouterr().err)
    assert (entry["logger"], entry["level"]) == ("discord.gateway", "WARNING")
