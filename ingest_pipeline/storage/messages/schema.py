"""The Arrow schema of normalized rows on their way into the table `messages`.

What the columns mean is decided in `domain/messages/normalize.py`; how they are merged in `messages.py`.
"""

from __future__ import annotations

import pyarrow as pa

from ingest_pipeline.domain.messages.details import DETAIL_COLUMNS
from ingest_pipeline.storage.engine.columns import counting

_TIME = pa.timestamp("us", tz="UTC")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


STAGING_SCHEMA: pa.Schema = pa.schema(
    [
        _required("discord_id", pa.int64()),
        pa.field("guild_id", pa.int64()),
        _required("channel_id", pa.int64()),
        _required("posted_at", _TIME),
        pa.field("edited_at", _TIME),
        pa.field("driver", pa.string()),
        pa.field("author_id", pa.int64()),
        pa.field("author_name", pa.string()),
        pa.field("author_nickname", pa.string()),
        _required("author_is_bot", pa.bool_()),
        _required("raw_content", pa.string()),
        _required("message_text", pa.string()),
        pa.field("parts", pa.string()),
        pa.field("forwarded", pa.string()),
        pa.field("author_roles", pa.string()),
        pa.field("inline_emojis", pa.string()),
        pa.field("normalizer_version", pa.int32()),
        _required("message_type", pa.string()),
        _required("is_pinned", pa.bool_()),
        pa.field("reference_id", pa.int64()),
        _required("attachments", pa.string()),
        _required("attachment_count", pa.int32()),
        _required("embeds", pa.string()),
        _required("embed_count", pa.int32()),
        _required("stickers", pa.string()),
        _required("reactions", pa.string()),
        _required("reaction_count", pa.int32()),
        _required("is_highlight_candidate", pa.bool_()),
        _required("source", pa.string()),
        _required("observed_at", _TIME),
        _required("content_digest", pa.int64()),
        _required("correlation_id", pa.string()),
        pa.field("skip_reason", pa.string()),
        pa.field("details", pa.string()),
        pa.field("details_parts", pa.string()),
        pa.field("details_text", pa.string()),
        pa.field("details_said_text", pa.string()),
        pa.field("details_driver", pa.string()),
        pa.field("details_digest", pa.int64()),
    ]
)
"""One normalized row: ids int64, times UTC to the microsecond, JSON as text.

`skip_reason` is null where the channel's policy takes the message, `details_digest` where the source does not
carry details (see `details.py`) and 0 where there are none.
"""

_DECIDED_APART = ("skip_reason", *DETAIL_COLUMNS)

MERGED_SCHEMA: pa.Schema = pa.schema([field for field in STAGING_SCHEMA if field.name not in _DECIDED_APART])
"""One reading of a message that is known or taken."""


DECIDING_COLUMNS = (
    "discord_id",
    "channel_id",
    "edited_at",
    "source",
    "observed_at",
    "content_digest",
    "correlation_id",
    "normalizer_version",
    "staging_row",
)
"""What a merge decides by; the rest of a row is only wanted when the row is written."""


def staged(rows: pa.Table) -> pa.Table:
    """Return rows as they are staged: of `MERGED_SCHEMA`, with their number, `staging_row`, int32."""
    readings = rows.select(MERGED_SCHEMA.names).cast(MERGED_SCHEMA)
    return readings.append_column("staging_row", counting(len(rows)))
