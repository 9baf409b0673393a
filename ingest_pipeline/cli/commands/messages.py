"""The command that shows stored messages: messages."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ingest_pipeline.cli.invocation import begin, open_services
from ingest_pipeline.cli.options import DriverOption, JsonOption, SessionOption
from ingest_pipeline.cli.output import print_json, print_rows

_JSON_COLUMNS = ("attachments", "embeds", "stickers", "reactions")


def messages(
    context: typer.Context,
    session_id: SessionOption,
    driver: DriverOption = None,
    limit: Annotated[
        int | None, typer.Option(help="At most so many, the newest.", min=1, max=10**9, metavar="N")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session's messages, oldest first."""
    settings = begin(context, as_json=as_json)
    with open_services(settings) as services:
        from ingest_pipeline.storage.messages.deletions import list_messages
        from ingest_pipeline.storage.messages.sessions import find_session

        with services.database.read() as connection:
            find_session(connection, session_id)
            rows = list_messages(connection, session_id, driver=driver, limit=limit)
    if as_json:
        shown = [message_json(row) for row in rows]
        print_json({"session_id": session_id, "count": len(shown), "messages": shown})
        return
    print_rows(
        ("posted", "id", "driver", "author", "text"),
        [
            (row["posted_at"], row["discord_id"], row["driver"], row["author_name"], row["message_text"])
            for row in rows
        ],
    )


def message_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a message's row as JSON values.

    Ids and the digest become strings, as 64-bit integers lose digits in many JSON readers; columns
    that hold JSON become what they hold.
    """
    return {column: _json_value(column, value) for column, value in row.items()}


def _json_value(column: str, value: Any) -> Any:
    if value is None:
        return None
    if column in _JSON_COLUMNS and isinstance(value, str):
        return json.loads(value)
    if column.endswith(("_id", "_digest")):
        return str(value)
    return value
