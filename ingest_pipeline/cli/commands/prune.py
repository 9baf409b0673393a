"""The command `ingest prune`."""

from __future__ import annotations

from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import begin, open_services
from ingest_pipeline.cli.options import JsonOption
from ingest_pipeline.cli.output import cell_text, print_json


def prune(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, delete nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what the settings say is past its age: events, raw exports, expired install intents.

    Raw exports go only of sessions that are sealed and unchanged since. Messages are never deleted.
    """
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.monitoring.retention import apply_retention, purge_expired_intents

        done = apply_retention(services, dry_run=dry_run)
        intents = purge_expired_intents(services, dry_run=dry_run)
    if as_json:
        print_json({**done.as_dict(), "install_intents": intents})
        return
    verb = "would delete" if dry_run else "deleted"
    typer.echo(
        f"{verb} {done.events} events, {intents} install intents, the raw exports of {len(done.sessions)} "
        f"sessions and {done.quarantined} refused ones ({done.files} files, {done.size_bytes:,} bytes)"
    )
    for name, reason in done.kept.items():
        typer.echo(cell_text(f"kept the raw exports of {name}: {reason}"), err=True)
