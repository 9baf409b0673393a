"""A dlt resource of messages, kept up to date by the change feed; needs the extra `dlt`.

    import dlt
    from ingest_pipeline.feed_readers.dlt_source import messages

    pipeline = dlt.pipeline("archive", destination="duckdb", dataset_name="discord")
    pipeline.run(messages("http://127.0.0.1:8000", token="…"))

A run loads what has changed since the last one: new rows, edited and deleted messages in place of their
former rows; a message that was erased leaves the destination, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt

from ingest_pipeline.feed_readers.changes import COLUMNS, ColumnType, read_rows

_TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "bigint",
    ColumnType.BOOLEAN: "bool",
    ColumnType.TIME: "timestamp",
    ColumnType.JSON: "json",
}


def messages(api_url: str, token: str | None = None) -> Any:
    """Return the resource.

    Args:
        api_url: Of the HTTP interface, such as `http://127.0.0.1:8000`.
        token: The read token, where one is set.
    """
    columns: dict[str, Any] = {
        name: {"data_type": _TYPES[kind], "nullable": name != "discord_id"} for name, kind in COLUMNS.items()
    }
    # Of several changes of a message in one run the last counts; without this it is the first.
    columns["position"]["dedup_sort"] = "desc"
    columns["is_erased"]["hard_delete"] = True

    def rows(
        # Without a key of its own dlt drops rows at the last position.
        position: Any = dlt.sources.incremental("position", initial_value=0, primary_key=()),  # noqa: B008
    ) -> Iterator[list[dict[str, Any]]]:
        yield from read_rows(api_url, token, after=position.last_value)

    return dlt.resource(
        rows,
        name="messages",
        write_disposition="merge",
        primary_key="discord_id",
        columns=columns,
        max_table_nesting=0,
    )
