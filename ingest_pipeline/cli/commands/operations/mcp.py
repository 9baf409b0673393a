"""The command that serves assistants over the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import begin
from ingest_pipeline.errors import ConfigurationError


def mcp(
    context: typer.Context,
    *,
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP at /mcp in place of standard input and output.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="With --http: address to listen on; this machine only by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="With --http: port to listen on.", min=1, max=65_535)] = 8001,
    without_login: Annotated[
        bool,
        typer.Option(
            "--without-login",
            help="Listen on an address of the network without a read token: every client can read.",
        ),
    ] = False,
) -> None:
    """Let assistants read sessions, messages, search and content over the Model Context Protocol."""
    settings = begin(context)
    try:
        from ingest_pipeline.api.mcp_server.server import PATH, serve_http, serve_stdio
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise ConfigurationError(
            "the extra `mcp` is not installed: pip install 'ingest_pipeline[mcp]'"
        ) from error
    if not http:
        serve_stdio(settings)
        return
    from ingest_pipeline.stack.deployment import require_login
    from ingest_pipeline.stack.services import require_free_port, web_url

    require_login(host, has_login=settings.api_read_token is not None, is_accepted=without_login)
    require_free_port(host, port)
    typer.echo(f"serving on {web_url(host, port).rstrip('/')}{PATH}", err=True)
    serve_http(settings, host, port)
