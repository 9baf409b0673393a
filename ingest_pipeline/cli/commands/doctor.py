"""The command that checks the installation and names remedies: doctor."""

from __future__ import annotations

from dataclasses import asdict

import typer

from ingest_pipeline.cli.invocation import begin
from ingest_pipeline.cli.options import JsonOption
from ingest_pipeline.cli.output import cell_text, print_json
from ingest_pipeline.errors import ExitCode


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Tell what works, what does not, and what to do.

    Checked are token, exporter, database, sessions, channel settings, landing store, Dagster home,
    disk and bot. The exit code is 3 if one of them fails.
    """
    from ingest_pipeline.cli.commands.doctor_checks import State, run_checks

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
