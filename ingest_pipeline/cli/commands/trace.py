"""The command that shows the journey of a message or of a batch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest_pipeline.cli.commands.messages import message_json
from ingest_pipeline.cli.invocation import begin, open_services
from ingest_pipeline.cli.options import JsonOption
from ingest_pipeline.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from ingest_pipeline.monitoring.tracing import Journey


def trace(
    context: typer.Context,
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A message's Discord id, or a correlation or run id.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Tell the journey of a message or of a batch: its stages and the times between them."""
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
