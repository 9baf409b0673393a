"""Commands of operation: doctor, API server, pruning, traces and the exporter."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.commands.messages.messages import message_json
from ingest_pipeline.cli.invocation import JsonOption, begin, open_services
from ingest_pipeline.cli.output import cell_text, print_json, print_rows
from ingest_pipeline.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from ingest_pipeline.monitoring.tracing import Journey


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check the installation and name the remedy of each problem.

    The checks cover token, exporter, database, sessions, channel settings, landing store, Dagster home,
    disk and bot. The exit code is 3 if one of them fails.
    """
    from ingest_pipeline.cli.commands.operations.doctor_checks import State, run_checks

    checks = run_checks(begin(context, as_json=as_json))
    failed = any(check.state is State.FAIL for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            typer.echo(f"{check.state:<5}{check.name:<14}{cell_text(check.detail)}")
            if check.remedy:
                typer.echo(f"{'':<19}{cell_text(check.remedy)}")
    if failed:
        raise typer.Exit(ExitCode.CONFIGURATION)


def api(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine only by default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
    without_login: Annotated[
        bool,
        typer.Option(
            "--without-login",
            help=("Listen on an address of the network without a read token: every client can read."),
        ),
    ] = False,
) -> None:
    """Serve the HTTP interface and the live page until Ctrl-C."""
    settings = begin(context)
    from ingest_pipeline.api.server import serve
    from ingest_pipeline.stack.deployment import require_login
    from ingest_pipeline.stack.services import require_free_port, web_url

    require_login(host, has_login=settings.api_read_token is not None, is_accepted=without_login)
    require_free_port(host, port)
    typer.echo(f"serving on {web_url(host, port)}", err=True)
    serve(settings, host, port)


def prune(
    context: typer.Context,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=("Show what would be deleted, delete nothing."))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete data past its age in the settings: events, raw exports and readings, expired install intents.

    Raw exports are deleted only for sessions that are sealed and unchanged since. Raw readings of each day
    that is past are put into one file. Messages are never deleted.
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
        f"sessions, {done.quarantined} refused ones and {done.raw_files} files of raw readings ({done.files} "
        f"files, {done.size_bytes:,} bytes)"
    )
    if done.raw_days:
        verb = "would put" if dry_run else "put"
        typer.echo(f"{verb} the raw readings of {done.raw_days} days of channels together")
    for name, reason in done.kept.items():
        typer.echo(cell_text(f"kept the raw exports of {name}: {reason}"), err=True)


def trace(
    context: typer.Context,
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A message's Discord id, or a correlation or run id.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the journey of a message or of a batch: its stages and the times between them."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.monitoring.tracing import trace as find_journey

        with services.database.read() as connection:
            journey = find_journey(connection, identifier)
    if as_json:
        print_json(journey_json(journey))
        return
    typer.echo(f"{journey.kind} {journey.identifier}: {journey.status}")
    typer.echo(f"correlation id {', '.join(journey.correlation_ids)}")
    if journey.run_id:
        typer.echo(f"Dagster run {journey.run_id}")
    if journey.kind == "batch":
        typer.echo(f"messages whose content it brought: {journey.messages}")
    print_rows(
        ("at", "after (s)", "stage", "source", "details"),
        [
            (stage.at, f"{stage.seconds:.3f}", stage.name, stage.source, _details(stage.data))
            for stage in journey.stages
        ],
    )


def journey_json(journey: Journey) -> dict[str, Any]:
    """Return a journey as JSON values."""
    return {
        **asdict(journey),
        "message": message_json(journey.message) if journey.message else None,
        "completed_stages": journey.completed_stages,
    }


def _details(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) if data else ""


def exporter(
    context: typer.Context,
    *,
    check: Annotated[bool, typer.Option("--check", help="Show what would change, change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Install the exporter's pinned version, or the latest if the settings ask for it."""
    settings = begin(context, as_json=as_json)
    from ingest_pipeline.sources.exporter.release import (
        VERSION,
        check_exporter_release,
        ensure_exporter,
        is_by_hand,
    )

    folder = settings.exporter_path.parent
    if "exporter_path" in settings.model_fields_set or is_by_hand(folder):
        raise ConfigurationError(
            f"the exporter {settings.exporter_path} is your own: nothing is installed in its place"
        )
    version = None if settings.exporter_follow_latest else VERSION
    if check:
        change = check_exporter_release(folder, version=version)
        if as_json:
            print_json(asdict(change))
            return
        digest = f"sha256 {change.sha256}, " + ("as recorded" if change.is_recorded else "not recorded yet")
        if change.is_current:
            typer.echo(f"nothing would change: exporter {change.wanted} is installed ({digest})")
        else:
            there = f"exporter {change.installed}" if change.installed else "nothing"
            typer.echo(f"exporter {change.wanted} would be installed, {there} is there ({digest})")
        return
    installation = ensure_exporter(folder, version=version)
    if as_json:
        print_json({"version": installation.version, "installed": installation.updated})
        return
    verb = "installed" if installation.updated else "is there already"
    typer.echo(f"exporter {installation.version} {verb}: {installation.path}")
