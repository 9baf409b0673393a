"""Pages of a session's messages with their content, for export."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa

from ingest_pipeline.storage.engine.database import Connection

_TIME = pa.timestamp("us", tz="UTC")
_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)

EXPORT_SCHEMA: pa.Schema = pa.schema(
    [
        ("discord_id", pa.int64()),
        ("session_id", pa.string()),
        ("guild_id", pa.int64()),
        ("channel_id", pa.int64()),
        ("posted_at", _TIME),
        ("edited_at", _TIME),
        ("driver", pa.string()),
        ("driver_code", pa.string()),
        ("driver_name", pa.string()),
        ("driver_number", pa.int32()),
        ("driver_team", pa.string()),
        ("author_id", pa.int64()),
        ("author_name", pa.string()),
        ("author_nickname", pa.string()),
        ("author_is_bot", pa.bool_()),
        ("message_text", pa.string()),
        ("raw_content", pa.string()),
        ("message_type", pa.string()),
        ("is_pinned", pa.bool_()),
        ("reference_id", pa.int64()),
        ("attachments", pa.string()),
        ("attachment_count", pa.int32()),
        ("embeds", pa.string()),
        ("embed_count", pa.int32()),
        ("stickers", pa.string()),
        ("reactions", pa.string()),
        ("reaction_count", pa.int32()),
        ("is_highlight_candidate", pa.bool_()),
        ("highlight_score", pa.float64()),
        ("highlight_reasons", pa.string()),
        ("source", pa.string()),
        ("observed_at", _TIME),
        ("content_digest", pa.int64()),
        ("correlation_id", pa.string()),
        ("created_at", _TIME),
        ("updated_at", _TIME),
    ]
)
"""One exported message: the columns of `messages`, the driver as `data/drivers.yaml` knows him and the
highlight. `attachments`, `embeds`, `stickers`, `reactions` and `highlight_reasons` are JSON text."""


def message_pages(connection: Connection, session_id: str, page_rows: int = 10_000) -> Iterator[pa.Table]:
    """Return a session's live messages, oldest first, as tables of `EXPORT_SCHEMA`.

    Args:
        page_rows: Rows of a page, which bounds memory.
    """
    after = _BEFORE_ALL, 0
    while True:
        page = connection.fetch_arrow(
            "export_messages",
            session_id=session_id,
            after_posted_at=after[0],
            after_id=after[1],
            maximum=page_rows,
        ).cast(EXPORT_SCHEMA)
        if page.num_rows:
            yield page
        if page.num_rows < page_rows:
            return
        after = page["posted_at"][-1].as_py(), page["discord_id"][-1].as_py()
