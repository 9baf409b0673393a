"""Commands that run the whole stack: `start`, and `demo` for a simulated session."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

HostOption = Annotated[str, typer.Option(help="Address of both; this machine only by default.")]
PortOption = Annotated[int, typer.Option(help="Port of Dagster's web interface.", min=1, max=65_535)]
ApiPortOption = Annotated[
    int, typer.Option(help="Port of the HTTP interface and the live page.", min=1, max=65_535)
]
WithoutLoginOption = Annotated[
    bool,
    typer.Option(
        "--without-login",
        help="Let in everybody who reaches --host when that is an address of the network.",
    ),
]


def start(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Run the demo even when a token is set.")] = False,
    port: PortOption = 3000,
    api_port: ApiPortOption = 8000,
    host: HostOption = "127.0.0.1",
    without_login: WithoutLoginOption = False,
) -> None:
    """Run everything until Ctrl-C: Dagster's web interface and daemon, the HTTP interface and the bot.

    Without a Discord token the demo starts: a simulated session that is live now.
    """
    from ingest_pipeline.stack.start import StartOptions, start_stack

    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    raise typer.Exit(start_stack(StartOptions(demo, host, port, api_port, without_login)))


def demo(
    *,
    port: PortOption = 3000,
    api_port: ApiPortOption = 8000,
    host: HostOption = "127.0.0.1",
    without_login: WithoutLoginOption = False,
) -> None:
    """Run everything on a simulated session that is live now, with data of its own, until Ctrl-C."""
    start(demo=True, port=port, api_port=api_port, host=host, without_login=without_login)
