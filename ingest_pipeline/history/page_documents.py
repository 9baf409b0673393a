"""Pages of a channel's history as documents."""

from __future__ import annotations

from collections.abc import Mapping

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.ingestion.documents.document import Provenance
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument
from ingest_pipeline.sources.discord.history import Page

SOURCE = "history"


def page_document(
    channel_id: int,
    guild_id: int | None,
    page: Page,
    *,
    policies: Mapping[int, ChannelPolicy],
    correlation_id: str,
) -> PayloadDocument:
    """Return a page as a document."""
    return PayloadDocument(
        channel_id=channel_id,
        guild_id=guild_id,
        messages=[
            ObservedMessage(parse_snowflake(payload.get("id")) or 0, payload, page.requested_at)
            for payload in page.messages
        ],
        policies=policies,
        provenance=Provenance(None, SOURCE, page.requested_at, correlation_id),
    )
