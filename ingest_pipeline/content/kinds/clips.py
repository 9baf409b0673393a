"""Clips: videos, uploaded with a message or linked by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Found, Kind, Tables
from ingest_pipeline.domain.extract.clips import CLIPS_PARSER_VERSION, VIDEO_EXTENSIONS, Clip, find_clips
from ingest_pipeline.domain.messages.details import attachment_facts, media_of
from ingest_pipeline.storage.content.rows import as_table
from ingest_pipeline.storage.content.tables import CLIPS
from ingest_pipeline.storage.engine.columns import scalar

_READ = ("attachments", "embeds", "details")
_NONE = scalar(0, pa.int32())
# A superset of what is a video, for Arrow: names that end like one, whatever an address has after it, or
# that are written in a way that only Python reads.
_LIKE_A_VIDEO = rf"(?i)\.(?:{'|'.join(sorted(each[1:] for each in VIDEO_EXTENSIONS))})(?:[^a-z0-9]|$)|%|\\"
_ATTACHED = f"{_LIKE_A_VIDEO}|video/"
_EMBEDDED = f'{_LIKE_A_VIDEO}|"video_url": *"'


def _may_hold_clips(messages: pa.Table) -> pa.ChunkedArray:
    has_files = pc.greater(messages["attachment_count"], _NONE)
    is_attached = pc.and_(has_files, pc.match_substring_regex(messages["attachments"], _ATTACHED))
    is_embedded = pc.match_substring_regex(messages["embeds"], _EMBEDDED)
    return pc.or_(pc.or_(is_attached, is_embedded), pc.is_valid(messages["details"]))


def _extract(batch: Batch) -> Tables:
    columns = (batch.messages[name].to_pylist() for name in ("discord_id", *_READ))
    rows = [
        (
            discord_id,
            number,
            clip_key(clip),
            clip.origin,
            clip.url,
            clip.file_name,
            clip.content_type,
            clip.size_bytes,
            clip.expires_at,
            clip.part,
            clip.is_stream_clip,
            clip.clip_created_at,
            CLIPS_PARSER_VERSION,
        )
        for discord_id, *shown in zip(*columns, strict=True)
        for number, clip in enumerate(stored_clips(*shown), start=1)
    ]
    return {CLIPS.name: as_table(CLIPS, rows)}


def stored_clips(attachments: str, embeds: str, details: str | None) -> list[Clip]:
    """Return the clips of a message by its columns, which are JSON text."""
    values = msgspec.json.decode(details) if details else {}
    facts = attachment_facts(values)
    files = [{**item, **facts.get(item["id"], {})} for item in msgspec.json.decode(attachments)]
    return find_clips(files, msgspec.json.decode(embeds), media_of(values))


def clip_key(clip: Clip) -> str:
    """Return what names a clip at every read of its message: its address without the signature."""
    return clip.url if clip.expires_at is None else clip.url.partition("?")[0]


def _describe(found: Found) -> Mapping[str, Any]:
    clips = found[CLIPS.name]
    described: dict[str, Any] = {
        "bytes": sum(clip["size_bytes"] or 0 for clip in clips),
        "fetched": sum(clip["sha256"] is not None for clip in clips),
    }
    now = datetime.now(UTC)
    coming = [clip["expires_at"] for clip in clips if clip["expires_at"] and clip["expires_at"] > now]
    if coming:
        described["next_expiry"] = min(coming)
    return described


CLIPS_KIND = Kind(
    name="clips",
    version=CLIPS_PARSER_VERSION,
    description="Videos, uploaded or linked, with the expiry of their addresses.",
    tables=(CLIPS,),
    reads=("attachment_count", *_READ),
    prefilter=_may_hold_clips,
    extract=_extract,
    queries={CLIPS.name: "clips_in_window"},
    describe=_describe,
    shows=("clip_number", "origin", "url", "file_name", "size_bytes", "expires_at"),
)
