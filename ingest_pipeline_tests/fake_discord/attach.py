"""Points unmodified discord.py at the server, in this process or in one of its own.

Two class attributes decide where discord.py 2.7 connects: ``discord.http.Route.BASE`` and
``discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY`` (its source, http.py and gateway.py). Both hold for the
whole process, so they are put back afterwards.

As a program it sets them and then calls any entry point, for bots that a test kills::

    python -m ingest_pipeline_tests.fake_discord.attach REST_URL GATEWAY_URL MODULE:FUNCTION [ARGUMENT…]
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yarl
from discord.backoff import ExponentialBackoff
from discord.client import Client
from discord.gateway import DiscordWebSocket
from discord.http import Route

from ingest_pipeline_tests.fake_discord.server import DiscordServer

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""Where ``command``'s processes must be started."""


@contextmanager
def attached(server: DiscordServer, *, impatient: bool = True) -> Iterator[None]:
    """Let every discord.py client of this process talk to ``server`` until the block ends.

    Args:
        server: A started server.
        impatient: Also leave out the waits by which discord.py spares Discord: five seconds before a
            second IDENTIFY (a hook that clients may override) and the random delay before reconnecting.
    """
    with _pointed_at(server.rest_url, server.gateway_url, impatient=impatient):
        yield


@contextmanager
def _pointed_at(rest_url: str, gateway_url: str, *, impatient: bool) -> Iterator[None]:
    former = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    waits = Client.before_identify_hook, ExponentialBackoff.delay
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = rest_url, yarl.URL(gateway_url)
    if impatient:
        Client.before_identify_hook = _identify_at_once  # type: ignore[method-assign, assignment]
        ExponentialBackoff.delay = _short_delay  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = former
        Client.before_identify_hook, ExponentialBackoff.delay = waits  # type: ignore[method-assign]


async def _identify_at_once(client: Client, shard_id: int | None, *, initial: bool = False) -> None:
    """Replace ``Client.before_identify_hook``."""


def _short_delay(backoff: ExponentialBackoff[Any]) -> float:
    """Replace ``ExponentialBackoff.delay``."""
    return 0.05


def command(server: DiscordServer, entry_point: str, *arguments: str) -> list[str]:
    """Return the argument list of a process that runs an entry point against ``server``.

    Start it with ``cwd=PROJECT_ROOT``, so that it finds this package.

    Args:
        server: A started server.
        entry_point: ``module:function``, as console scripts are declared.
        arguments: What the entry point finds in ``sys.argv`` after its name.
    """
    program = "ingest_pipeline_tests.fake_discord.attach"
    return [sys.executable, "-m", program, server.rest_url, server.gateway_url, entry_point, *arguments]


def main(arguments: list[str]) -> None:
    """Run an entry point with discord.py pointed at a server.

    Args:
        arguments: The server's REST URL and gateway URL, the entry point, and its own arguments.
    """
    rest_url, gateway_url, entry_point, *rest = arguments
    sys.argv = [entry_point, *rest]
    with _pointed_at(rest_url, gateway_url, impatient=True):
        pkgutil.resolve_name(entry_point)()


if __name__ == "__main__":
    main(sys.argv[1:])
