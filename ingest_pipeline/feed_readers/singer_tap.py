"""A Singer tap of messages, kept up to date by the change feed; needs the extra `singer`.

`tap-ingest --config config.json --state state.json`; the configuration has `api_url` and, where one is set,
the read `token`. A stream `messages` with the key `discord_id`, in the feed's order, so that it resumes after
a break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from singer_sdk import Stream, Tap

from ingest_pipeline.feed_readers.changes import COLUMNS, ColumnType, read_rows

_TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.TEXT: {"type": ["string", "null"]},
    ColumnType.INTEGER: {"type": ["integer", "null"]},
    ColumnType.BOOLEAN: {"type": ["boolean", "null"]},
    ColumnType.TIME: {"type": ["string", "null"], "format": "date-time"},
    ColumnType.JSON: {"type": ["array", "null"], "items": {"type": ["object", "null"]}},
}


class MessagesStream(Stream):
    """Messages as they stand when their change is read."""

    name = "messages"
    primary_keys = ("discord_id",)
    replication_key = "position"
    # Else a state is written at the end alone.
    is_sorted = True
    schema = {  # noqa: RUF012 - as the library has it
        "type": "object",
        "properties": {name: _TYPES[kind] for name, kind in COLUMNS.items()},
        "required": ["discord_id", "position"],
    }

    def get_records(self, context: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        """Return the rows after the state's position."""
        after = self.get_starting_replication_key_value(context) or 0
        for page in read_rows(self.config["api_url"], self.config.get("token"), after=int(after)):
            yield from page


class TapIngest(Tap):
    """The tap."""

    name = "tap-ingest"
    config_jsonschema = {  # noqa: RUF012 - as the library has it
        "type": "object",
        "properties": {
            "api_url": {"type": "string", "description": "Of the HTTP interface."},
            "token": {"type": "string", "secret": True, "description": "The read token, where one is set."},
        },
        "required": ["api_url"],
    }

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [MessagesStream(self)]


if __name__ == "__main__":
    TapIngest.cli()
