"""The import of a channel's messages between two times with the exporter, month by month."""

from __future__ import annotations

from collections.abc import Callable

from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.channels.months import months, read_month_key
from ingest_pipeline.ingestion.imports import import_messages
from ingest_pipeline.ingestion.ingest import OnRowsMerged
from ingest_pipeline.ingestion.services import Services


def import_months(
    services: Services,
    channel_id: int,
    window: Window,
    progress: Callable[[str], None] | None = None,
    *,
    on_rows_merged: OnRowsMerged | None = None,
) -> None:
    """Import what a channel has in a window; what is merged of earlier months stays if a later one fails.

    Args:
        progress: Called with what is being read.
        on_rows_merged: See `ingest_documents`.

    Raises:
        IngestError: As for `import_messages`.
    """
    for key in months(channel_id, window.start, window.end):
        part = read_month_key(key)[1].intersection(window)
        if part is None:
            continue
        if progress:
            progress(f"channel {channel_id}, {part.start:%Y-%m}")
        import_messages(
            services,
            None,
            channel_id=channel_id,
            start=part.start,
            end=part.end,
            on_rows_merged=on_rows_merged,
        )
