"""The columns of the tables, as Dagster's catalogue shows them."""

import dagster as dg
import pyarrow as pa

from ingest_pipeline.storage.messages.schema import MERGED_SCHEMA, STAGING_SCHEMA

_DESCRIPTIONS = {
    "discord_id": "The message's snowflake: its identity",
    "guild_id": "The guild's snowflake; empty for direct messages",
    "channel_id": "The channel's snowflake",
    "posted_at": "When it was posted, UTC",
    "edited_at": "When it was last edited, UTC",
    "driver": "Who speaks, as far as the message says",
    "author_id": "The author's snowflake",
    "author_name": "The author's user name",
    "author_nickname": "The author's name in the guild when it was read",
    "author_is_bot": "Whether a bot or a webhook wrote it",
    "raw_content": "The content as it came",
    "message_text": "The content without emoji and driver",
    "message_type": "One name for its type, such as Default or Reply; a number when unknown",
    "is_pinned": "Whether it was pinned when it was read",
    "reference_id": "The message it answers or forwards",
    "attachments": "JSON array: id, file_name, url, size_bytes, content_type",
    "attachment_count": "How many attachments",
    "embeds": "JSON array",
    "embed_count": "How many embeds",
    "stickers": "JSON array",
    "reactions": "JSON array: emoji, count",
    "reaction_count": "How many reactions in all",
    "is_highlight_candidate": "Whether it may be worth a clip",
    "source": "export, file, history or gateway",
    "observed_at": (
        "When Discord was read, UTC: the order of two versions without an edit; 2015-01-01 where nothing says"
    ),
    "content_digest": "Tells two versions of a message apart",
    "correlation_id": "The journey it came by: the run id of a Dagster run",
    "skip_reason": "Why the channel's policy does not take it; empty when it does",
}
_TABLE_COLUMNS = {
    "session_id": "The session that its channel and time belong to; empty for none",
    "first_observed_at": "When this content was first read, UTC",
    "deleted_at": "When it was deleted, UTC, as far as known",
    "created_at": "When the row came into the table, UTC",
    "updated_at": "When the row last really changed, UTC",
}


def normalized_columns() -> dg.TableSchema:
    """Return the columns of the normalized Parquet files."""
    return dg.TableSchema(_columns(STAGING_SCHEMA))


def table_columns() -> dg.TableSchema:
    """Return the columns of the table `messages`."""
    added = [
        dg.TableColumn(name, "string" if name == "session_id" else "timestamp[us, tz=UTC]", description)
        for name, description in _TABLE_COLUMNS.items()
    ]
    return dg.TableSchema([*_columns(MERGED_SCHEMA), *added])


def _columns(schema: pa.Schema) -> list[dg.TableColumn]:
    return [
        dg.TableColumn(
            field.name,
            str(field.type),
            _DESCRIPTIONS[field.name],
            constraints=dg.TableColumnConstraints(nullable=field.nullable, unique=field.name == "discord_id"),
        )
        for field in schema
    ]
