"""The command that installs the exporter, or shows what an installation would change."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import begin
from ingest_pipeline.cli.options import JsonOption
from ingest_pipeline.cli.output import print_json
from ingest_pipeline.errors import ConfigurationError


def exporter(
    context: typer.Context,
    *,
    check: Annotated[bool, typer.Option("--check", help="Say what would change, change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Install the exporter's pinned version, as ./start.sh does, or the latest if the settings say so."""
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
            f"the exporter {settings.exporter_path} is one of your own: nothing is installed in its place"
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
