"""Clips as files: downloaded once, by addresses read again when they have expired.

The same video posted ten times is one file. What was fetched stays when its message is deleted: that is
what keeping it is for. Only files of known hosts are fetched (see `sources/discord/clip_download.py`).

Messages are read by the bot when there is one, and otherwise by the exporter, with one run for each
channel.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from upath import UPath

from ingest_pipeline.content.kinds.clips import clip_key, stored_clips
from ingest_pipeline.content.sessions import spans
from ingest_pipeline.domain.extract.clips import Clip
from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import (
    BadInput,
    IngestError,
    StorageRejected,
    StorageUnavailable,
)
from ingest_pipeline.ingestion.services import Services, read_by_bot_else_exporter
from ingest_pipeline.landing.exports.reader import read_export
from ingest_pipeline.landing.stored_files import file_exists, open_root, replace_file
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.discord.clip_download import ClipGone, Download, DownloadLimits, download_clip
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline.sources.discord.rest import DiscordRest
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest
from ingest_pipeline.storage.content.queries import clips_in_window

_NO_CHANNEL = 0
_MILLISECOND = timedelta(milliseconds=1)
_KEEP_ALL = ChannelPolicy(keep_media_only=True)
# An address that is about to expire may do so while the file is on its way.
_MARGIN = timedelta(minutes=1)
_logger = logging.getLogger(__name__)


def read_clips_again(
    services: Services, channel_id: int, messages: Mapping[int, datetime]
) -> dict[int, list[Clip]]:
    """Read messages of a channel again and return their clips, with addresses that work.

    Args:
        messages: The messages' ids, with when they were posted, aware UTC; not empty.

    Returns:
        Clips by message; one that is deleted is left out.

    Raises:
        ConfigurationError: There is no token to read with.
        IngestError: As for the exporter or the bot's requests.
    """

    async def by_bot(rest: DiscordRest) -> dict[int, list[Clip]]:
        answers = [await rest.message(channel_id, message_id) for message_id in messages]
        return _clips(raw_message(payload) for payload, _ in answers if payload is not None)

    return read_by_bot_else_exporter(
        services,
        "read messages again",
        by_bot,
        lambda _: _by_exporter(services, channel_id, messages),
        lambda _: True,
    )


def _by_exporter(
    services: Services, channel_id: int, messages: Mapping[int, datetime]
) -> dict[int, list[Clip]]:
    window = Window(min(messages.values()), max(messages.values()) + _MILLISECOND)
    with TemporaryDirectory(prefix="ingest-clips-") as folder:
        result = services.exporter.export(ExportRequest(channel_id, window), Path(folder))
        with result.path.open("rb") as stream:
            _, slices = read_export(stream, result.path.name)
            raws = [raw for elements in slices for raw in elements if raw is not None]
    found = _clips(raws)
    return {message_id: clips for message_id, clips in found.items() if message_id in messages}


def _clips(raws: Iterable[RawMessage]) -> dict[int, list[Clip]]:
    columns = build_normalizer(_NO_CHANNEL, _KEEP_ALL, None)(list(raws)).columns
    names = ("discord_id", "attachments", "embeds", "details")
    found = zip(*(columns[name] for name in names), strict=True)
    return {discord_id: stored_clips(*shown) for discord_id, *shown in found}


@dataclass(frozen=True, slots=True)
class ClipFile:
    """The result for one clip.

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

    A clip that is not available is recorded with the reason and tried again the next time; the others are
    fetched all the same.

    Args:
        limits: What may be fetched.
        progress: Called for each clip.

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
    return fetch_found(services, found, limits, now=moment, progress=progress)


def fetch_found(
    services: Services,
    found: Sequence[dict[str, Any]],
    limits: DownloadLimits,
    *,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> list[ClipFile]:
    """Fetch clips as they are stored; as `fetch_clip_files`, whatever session they are of."""
    done = []
    for channel_id, group in groupby(sorted(found, key=_place), key=lambda clip: clip["channel_id"]):
        fetcher = _Fetcher(services, channel_id, list(group), limits, now)
        for clip in fetcher.clips:
            if progress:
                progress(f"clip {clip['clip_key']} of message {clip['discord_id']}")
            done.append(fetcher.fetch(clip))
            _record(services, done[-1], now)
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
                raise BadInput("it is a player's page, not a file")
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
        if url is None and clip["origin"] == "component" and not self._services.settings.discord_bot_token:
            raise ClipGone("its address has expired, and exports have no components: set DISCORD_BOT_TOKEN")
        if url is None:
            raise ClipGone("its address has expired, and its message no longer has the clip")
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
