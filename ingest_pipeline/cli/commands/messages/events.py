"""The commands that list events and journeys."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ingest_pipeline.cli.invocation import JsonOption, OfSession, begin, open_services, read_bounds, storable
from ingest_pipeline.cli.output import print_json, print_rows
from ingest_pipeline.errors import BadInput
from ingest_pipeline.events import EventChannel

_LimitOption = Annotated[int, typer.Option(help="The newest N.", min=1, max=10**9, metavar="N")]
_Source = Annotated[
    str | None, typer.Option(help="Only this reporter's: export, history, gateway, bot, …", callback=storable)
]
_JOURNEY_STATES = ("completed", "failed", "started")


def events(
    context: typer.Context,
    *,
    channel: Annotated[
        str | None,
        typer.Option(help=f"Only of this subject: {', '.join(EventChannel)}.", metavar="SUBJECT"),
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type", help="Only of this type, such as bot.ready.", metavar="TYPE", callback=storable
        ),
    ] = None,
    source: _Source = None,
    session_id: OfSession = None,
    journey: Annotated[
        str | None, typer.Option(help="Only of this journey.", metavar="ID", callback=storable)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Happened then or later.", metavar="TIME")] = None,
    until: Annotated[str | None, typer.Option(help="Happened earlier.", metavar="TIME")] = None,
    limit: _LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show events of messages, batches, the bot and the system, oldest first."""
    settings = begin(context, as_json=as_json)
    first, last = read_bounds(since, until, ("--since", "--until"))
    with open_services(settings) as services:
        from ingest_pipeline.storage.runs.events import EventFilter, search_events

        wanted = EventFilter(_subject(channel), event_type, source, session_id, journey, first, last)
        with services.database.read() as connection:
            found = search_events(connection, wanted, limit=limit)[::-1]
    if as_json:
        print_json({"count": len(found), "events": [each.as_dict() for each in found]})
        return
    columns = ("at", "type", "source", "session", "message", "data")
    print_rows(
        columns,
        [
            (
                each.created_at,
                each.event_type.value,
                each.source,
                each.session_id,
                each.message_id,
                json.dumps(each.data, ensure_ascii=False, default=str) if each.data else None,
            )
            for each in found
        ],
    )


def journeys(
    context: typer.Context,
    *,
    status: Annotated[
        str | None,
        typer.Option(help=f"Only these: {', '.join(_JOURNEY_STATES)} (unfinished).", metavar="STATUS"),
    ] = None,
    source: _Source = None,
    session_id: OfSession = None,
    limit: _LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the journeys of batches, the oldest first: done, failed with the error, unfinished."""
    if status not in {None, *_JOURNEY_STATES}:
        raise BadInput(f"unknown status {status!r}: write {', '.join(_JOURNEY_STATES)}")
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.storage.runs.events import list_journeys

        with services.database.read() as connection:
            found = list_journeys(
                connection, status=status, source=source, session_id=session_id, limit=limit
            )
    found.reverse()
    if as_json:
        print_json({"count": len(found), "journeys": found})
        return
    columns = (
        "started_at",
        "correlation_id",
        "status",
        "source",
        "session_id",
        "created",
        "updated",
        "error",
    )
    print_rows(columns, [[row[name] for name in columns] for row in found])


def _subject(text: str | None) -> EventChannel | None:
    if text is None:
        return None
    if text not in set(EventChannel):
        raise BadInput(f"unknown subject {text!r}: write {', '.join(EventChannel)}")
    return EventChannel(text)
