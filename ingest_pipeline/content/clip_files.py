"""Clip files: downloaded before their addresses expire, or by fresh ones, and stored by digest.

The same video posted ten times is one file. What was fetched stays when its message is deleted: that is
what keeping it is for. Only files of known hosts are fetched (see `sources/discord/clip_download.py`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from upath import UPath

from ingest_pipeline.content.fresh_clips import read_clips_again
from ingest_pipeline.content.rows import clip_key
from ingest_pipeline.content.sessions import spans
from ingest_pipeline.domain.session import Session
from ingest_pipeline.errors import BadInput, IngestError, StorageRejected, StorageUnavailable
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.stored_files import file_exists, open_root, replace_file
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.clip_download import ClipGone, Download, DownloadLimits, download_clip
from ingest_pipeline.storage.content.queries import clips_in_window

# An address that is about to expire may do so while the file is on its way.
_MARGIN = timedelta(minutes=1)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClipFile:
    """What became of one clip.

    Attributes:
        discord_id: Its message.
        clip_key: Its address without the signature.
        posted_at: When the message was posted, aware UTC.
        sha256: Digest of the bytes, in hexadecimal; None when they could not be had.
        stored_bytes: How many; None likewise.
        file_path: Where they are; None likewise.
        problem: Why they could not be had; None when they are there.
    """

    discord_id: int
    clip_key: str
    posted_at: datetime
    sha256: str | None = None
    stored_bytes: int | None = None
    file_path: str | None = None
    problem: str | None = None


def clips_root(settings: Settings) -> UPath:
    """Return the folder or the place in the object store where clip files are kept."""
    landing = settings.landing_url
    return open_root(f"{landing.rstrip('/')}/_clips" if landing else str(settings.data_dir / "clips"))


def fetch_clip_files(
    services: Services,
    session: Session,
    keys: Sequence[str],
    limits: DownloadLimits,
    *,
    now: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[ClipFile]:
    """Fetch the clips of some of a session's windows that are not stored yet.

    A clip that cannot be had is recorded with the reason and tried again the next time; the others are
    fetched all the same.

    Args:
        limits: What may be fetched.
        progress: Told of each clip.

    Returns:
        What became of each clip tried, in the order of their messages.

    Raises:
        StorageRejected: The store cannot be written.
        StorageUnavailable: The store does not answer.
        DatabaseBusy: Another process held the database for too long; what was fetched stays.
        DatabaseUnavailable: The database cannot be reached; what was fetched stays.
    """
    moment = now or datetime.now(UTC)
    with services.database.read() as connection:
        found = [
            clip
            for span in spans(services, session, keys, now)
            for clip in clips_in_window(connection, session.channel_ids, span)
            if clip["sha256"] is None
        ]
    done = []
    for channel_id, group in groupby(sorted(found, key=_place), key=lambda clip: clip["channel_id"]):
        fetcher = _Fetcher(services, channel_id, list(group), limits, moment)
        for clip in fetcher.clips:
            if progress:
                progress(f"clip {clip['clip_key']} of message {clip['discord_id']}")
            done.append(fetcher.fetch(clip))
            _record(services, done[-1], moment)
    return sorted(done, key=lambda each: (each.posted_at, each.discord_id))


def _place(clip: dict[str, Any]) -> tuple[int, datetime, int, int]:
    return clip["channel_id"], clip["posted_at"], clip["discord_id"], clip["clip_number"]


class _Fetcher:
    """Fetches clips of one channel, and reads their messages again when addresses have expired."""

    def __init__(
        self,
        services: Services,
        channel_id: int,
        clips: list[dict[str, Any]],
        limits: DownloadLimits,
        now: datetime,
    ) -> None:
        self.clips = clips
        self._services = services
        self._channel_id = channel_id
        self._limits = limits
        self._now = now
        self._root = clips_root(services.settings)
        self._fresh: dict[tuple[int, str], str] | None = None
        self._refusal: IngestError | None = None

    def fetch(self, clip: dict[str, Any]) -> ClipFile:
        """Fetch one clip; what is in its way becomes the result's problem."""
        try:
            if clip["file_name"] is None:
                raise BadInput("it is a player's page and no file")
            return self._stored(clip)
        except (StorageRejected, StorageUnavailable):
            raise
        except IngestError as error:
            _logger.info("clip %s of message %s: %s", clip["clip_key"], clip["discord_id"], error)
            return ClipFile(clip["discord_id"], clip["clip_key"], clip["posted_at"], problem=str(error))

    def _stored(self, clip: dict[str, Any]) -> ClipFile:
        with TemporaryDirectory(prefix="ingest-clip-") as folder:
            target = Path(folder) / "clip"
            found = self._download(clip, target)
            path = self._root / found.sha256[:2] / f"{found.sha256}{_suffix(clip['file_name'])}"
            if not file_exists(path):
                replace_file(path, target)
        return ClipFile(
            clip["discord_id"],
            clip["clip_key"],
            clip["posted_at"],
            sha256=found.sha256,
            stored_bytes=found.size_bytes,
            file_path=str(path),
        )

    def _download(self, clip: dict[str, Any], target: Path) -> Download:
        if clip["expires_at"] is None or clip["expires_at"] > self._now + _MARGIN:
            try:
                return download_clip(clip["url"], target, self._limits)
            except ClipGone:
                # Discord may take an address back before its time.
                if clip["expires_at"] is None:
                    raise
        return download_clip(self._fresh_url(clip), target, self._limits)

    def _fresh_url(self, clip: dict[str, Any]) -> str:
        if self._refusal is not None:
            raise self._refusal
        if self._fresh is None:
            try:
                self._fresh = self._read_again()
            except IngestError as error:
                self._refusal = error
                raise
        url = self._fresh.get((clip["discord_id"], clip["clip_key"]))
        if url is None:
            raise ClipGone("its address has expired, and its message does not have it any more")
        return url

    def _read_again(self) -> dict[tuple[int, str], str]:
        expiring = {
            clip["discord_id"]: clip["posted_at"] for clip in self.clips if clip["expires_at"] is not None
        }
        again = read_clips_again(self._services, self._channel_id, expiring)
        return {
            (discord_id, clip_key(clip)): clip.url for discord_id, clips in again.items() for clip in clips
        }


def _suffix(file_name: str) -> str:
    suffix = PurePosixPath(file_name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _record(services: Services, file: ClipFile, now: datetime) -> None:
    services.database.run(
        lambda connection: connection.execute(
            "keep_clip_file",
            discord_id=file.discord_id,
            clip_key=file.clip_key,
            sha256=file.sha256,
            stored_bytes=file.stored_bytes,
            file_path=file.file_path,
            problem=file.problem,
            fetched_at=now,
        )
    )
