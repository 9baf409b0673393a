"""Clips of channels as files: those that are asked for, and those to be kept before they expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ingest_pipeline.content.clip_files import ClipFile, fetch_found
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.sources.discord.clip_download import DownloadLimits
from ingest_pipeline.storage.content.clip_search import clips_matching, clips_to_fetch
from ingest_pipeline.storage.messages.queries import MessageFilter
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import load_settings_file

# What failed may have been Discord's trouble; addresses are good for a day.
_PAUSE = timedelta(hours=1)


def fetch_matching(
    services: Services,
    wanted: MessageFilter,
    limits: DownloadLimits,
    *,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> list[ClipFile]:
    """Fetch the clips of some messages that are not stored yet, expired ones by reading their messages again.

    Raises:
        IngestError: As for `fetch_clip_files`.
    """
    with services.database.read() as connection:
        found = clips_matching(connection, wanted, is_missing=True)
    return fetch_found(services, found, limits, now=now, progress=progress)


def due_clips(services: Services, now: datetime) -> list[dict[str, Any]]:
    """Return the clips to fetch of channels whose setting `fetch_clips` is on, the first to expire first."""
    with services.database.read() as connection:
        found = clips_to_fetch(connection, now=now, tried_before=now - _PAUSE)
        channel_ids = sorted({clip["channel_id"] for clip in found})
        file = load_settings_file(services.settings.settings_file, groups=False)
        settings = effective_settings(connection, file, channel_ids) if channel_ids else {}
    return [clip for clip in found if settings[clip["channel_id"]].fetch_clips]


def fetch_due(
    services: Services,
    limits: DownloadLimits,
    *,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> list[ClipFile]:
    """Fetch the clips of channels whose clips are kept, before their addresses expire.

    Raises:
        IngestError: As for `fetch_clip_files`.
    """
    return fetch_found(services, due_clips(services, now), limits, now=now, progress=progress)
