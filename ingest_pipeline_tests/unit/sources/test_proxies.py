"""A proxy that the environment names stands between the bot and Discord, for REST and the gateway."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ingest_pipeline.errors import ConfigurationError, ExitCode
from ingest_pipeline.sources.http import http_session, proxy_for
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.connect_proxy import ConnectProxy
from ingest_pipeline_tests.fake_discord.server import DiscordServer

REST, GATEWAY = "https://discord.com/api/v10", "wss://gateway.discord.gg/"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the machine that runs the tests has."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A running server with a guild that the bot is in."""
    with DiscordServer() as running:
        running.guilds.create("Paddock")
        yield running


@pytest.fixture
def proxy(tmp_path: Path, server: DiscordServer) -> Iterator[ConnectProxy]:
    """A proxy that leads to it, whatever host of Discord is asked for."""
    with ConnectProxy(tmp_path, urlsplit(server.rest_url).port or 0).running() as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, server: DiscordServer, proxy: ConnectProxy) -> Cli:
    """The command, as somebody behind the proxy has it."""
    environment = {
        "DISCORD_BOT_TOKEN": server.token,
        "HTTPS_PROXY": proxy.url.replace("//", "//team:radio@"),
        "SSL_CERT_FILE": str(proxy.authority),
    }
    return Cli(tmp_path, environment)


def test_rest_goes_through_the_proxy(cli: Cli, proxy: ConnectProxy) -> None:
    """By CONNECT, with the user of the proxy's address, as discord.com itself."""
    process = cli.start("bot", "--check")
    output, errors = process.communicate(timeout=120)
    assert b"in Paddock" in output + errors
    assert set(proxy.asked) == {"discord.com:443"}
    assert set(proxy.users) == {"team:radio"}
    assert b"team:radio" not in output + errors


@pytest.mark.slow
def test_the_gateway_goes_through_the_proxy(cli: Cli, server: DiscordServer, proxy: ConnectProxy) -> None:
    """Too, though its address is no https one."""
    process = cli.start("bot")
    try:
        deadline = time.monotonic() + 120
        while not server.journal.identifies and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert server.journal.identifies, errors
    assert set(proxy.asked) == {"discord.com:443", "gateway.discord.gg:443"}


def test_files_are_fetched_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, cli: Cli, proxy: ConnectProxy
) -> None:
    """With the certificates that the environment names."""
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, cli.environment[name])
    with http_session({"Authorization": f"Bot {cli.environment['DISCORD_BOT_TOKEN']}"}) as session:
        assert session.get("https://discord.com/api/v10/users/@me", timeout=10).status_code == 200
    assert (proxy.asked, proxy.users) == (["discord.com:443"], ["team:radio"])


def test_a_proxy_that_refuses_is_named(cli: Cli) -> None:
    """Nothing listens there: the message says that a proxy is in the way, and not its password."""
    cli.environment["HTTPS_PROXY"] = "http://team:radio@127.0.0.1:9"
    process = cli.start("bot", "--check")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == ExitCode.DISCORD
    assert b"HTTPS_PROXY" in errors
    assert b"radio@" not in output + errors


@pytest.mark.parametrize("url", [REST, GATEWAY])
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.test:3128"}, "http://proxy.test:3128"),
        ({"https_proxy": "http://proxy.test:3128"}, "http://proxy.test:3128"),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "http://proxy.test:3128"),
        ({"ALL_PROXY": "http://proxy.test:3128"}, "http://proxy.test:3128"),
        ({"HTTP_PROXY": "http://proxy.test:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "discord.com,.discord.gg"}, None),
        ({"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "example.org"}, "http://proxy.test:3128"),
    ],
)
def test_the_environment_decides_which_proxy_holds(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], expected: str | None
) -> None:
    """As for other programs, in either spelling."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == expected


def test_each_host_is_looked_up_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names one in NO_PROXY does not mean the other; and this machine needs no proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "discord.gg")
    assert (proxy_for(REST), proxy_for(GATEWAY)) == ("http://proxy.test:3128", None)
    assert [proxy_for(f"http://{host}:8080/") for host in ("127.0.0.1", "[::1]", "localhost")] == [None] * 3


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than gone around."""
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.test:1080")
    with pytest.raises(ConfigurationError, match="socks5"):
        proxy_for(REST)
