"""Queries of clips and their files, whatever session they are of."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.queries import MessageFilter


def clips_matching(
    connection: Connection, wanted: MessageFilter, *, is_missing: bool = False, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return clips with what is known of their files, oldest first.

    Args:
        wanted: Of which messages; drivers and texts are not looked at.
        is_missing: Only clips without a file.
        limit: How many at most, the oldest; None for all.
    """
    filters = {name: value for name, value in asdict(wanted).items() if name not in {"driver", "text"}}
    return connection.fetch_all("clips_matching", **filters, is_missing=is_missing, maximum=limit)


def clips_to_fetch(connection: Connection, *, now: datetime, tried_before: datetime) -> list[dict[str, Any]]:
    """Return the clips without a file whose address still works, the first to expire first.

    Args:
        tried_before: Clips that were tried later are left out, aware UTC.
    """
    return connection.fetch_all("clips_to_fetch", now=now, tried_before=tried_before)
