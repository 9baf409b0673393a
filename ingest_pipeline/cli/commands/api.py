"""The command that serves the HTTP interface."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import begin


def api(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine only by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
    without_login: Annotated[
        bool, typer.Option("--without-login", help="Let in everybody who reaches an address of the network.")
    ] = False,
) -> None:
    """Serve the HTTP interface and the live page until Ctrl-C."""
    settings = begin(context)
    from ingest_pipeline.api.server import serve
    from ingest_pipeline.stack.addresses import require_login
    from ingest_pipeline.stack.parts import require_free_port, web_url

    require_login(host, has_login=settings.api_read_token is not None, is_accepted=without_login)
    require_free_port(host, port)
    typer.echo(f"serving on {web_url(host, port)}", err=True)
    serve(settings, host, port)
