"""The command `ingest bot`."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.cli_runs import PROJECT, Cli
from ingest_pipeline_tests.fake_discord.attach import attached, command
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

GUILD = 1_100_000_000_000_000_001


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a folder of its own."""
    return Cli(tmp_path)


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


def test_without_a_token_the_bot_is_off(cli: Cli) -> None:
    """One line, and no error."""
    outcome = cli("bot")
    assert (outcome.code, outcome.stdout) == (0, "")
    assert outcome.stderr.count("\n") == 1
    assert "DISCORD_BOT_TOKEN" in outcome.stderr


def test_a_token_that_is_not_accepted_is_one_clear_line(cli: Cli, server: DiscordServer) -> None:
    """It says what to do, and never the token."""
    cli.environment["DISCORD_BOT_TOKEN"] = "an-invented-token"
    outcome = cli("bot")
    assert outcome.code == 3
    assert outcome.stderr.startswith("error: Discord does not accept the bot's token")
    assert outcome.stderr.count("\n") == 1
    assert "an-invented-token" not in outcome.stderr


def test_the_check_shows_what_the_bot_has_and_lacks(cli: Cli, server: DiscordServer) -> None:
    """What is watched and cannot be read has its remedy; the invitation asks for reading alone."""
    cli.environment["DISCORD_BOT_TOKEN"] = server.token
    alone = cli("bot", "--check", "--json")
    assert (alone.code, alone.json["guilds"]) == (10, [])
    link = alone.json["invite_link"]
    assert link.startswith("https://discord.com/oauth2/authorize?client_id=")
    assert link.endswith("&scope=bot&permissions=66560")
    guild = server.guilds.create("Paddock")
    radio, other = (server.channels.create(guild, name) for name in ("team-radio", "pit-wall"))
    good = cli("bot", "--check", "--monitor", "*radio*", "--json")
    assert (good.code, good.json["ok"]) == (0, True)
    watched = [{"channel_id": str(radio), "name": "team-radio", "reading_state": "readable"}]
    assert [each["watched"] for each in good.json["guilds"]] == [watched]
    server.permissions.revoke(other, permissions.READ_MESSAGE_HISTORY)
    reported = cli("bot", "--check", "--monitor", "*")
    assert reported.code == 10
    assert "pit-wall\tno_history\t" in reported.stdout
    assert link in reported.stderr
    assert not server.gateway.connected()


@pytest.mark.slow
def test_the_bot_runs_until_it_is_asked_to_stop(cli: Cli, server: DiscordServer) -> None:
    """SIGTERM ends it in order; what it heard is there."""
    guild = server.guilds.create("Paddock")
    channel = server.channels.create(guild, "team-radio")
    environment = cli.environment | {"DISCORD_BOT_TOKEN": server.token, "PYTHONPATH": str(PROJECT)}
    arguments = command(server, "ingest_pipeline.cli.app:main", "bot", "--monitor", "*radio*")
    with subprocess.Popen(arguments, cwd=cli.folder, env=environment, stderr=subprocess.PIPE) as process:
        try:
            server.journal.wait_for(lambda: bool(server.gateway.connected()), what="the bot")
            server.messages.post(channel, "Box, box.")
            spool = cli.folder / "data" / "gateway"
            server.journal.wait_for(
                lambda: any(b"Box, box." in path.read_bytes() for path in spool.glob("*.jsonl")),
                what="the event",
            )
            process.send_signal(signal.SIGTERM)
            _, text = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, text
    assert server.token.encode() not in text
    shown = cli("channels", "list", "--guild", str(guild), "--monitored", "--json").json
    assert [each["name"] for each in shown["channels"]] == ["team-radio"]
    cli.environment["DISCORD_BOT_TOKEN"] = server.token
    [checked] = cli("bot", "--check", "--json").json["guilds"]
    assert [each["name"] for each in checked["watched"]] == ["team-radio"], "what was chosen counts"
    settings = Settings(_env_file=None, data_dir=cli.folder / "data")
    with build_services(settings).database.read() as connection:
        assert connection.fetch_one("count_rows", {"table": "messages"}) == {"n": 1}
