"""The landing store: raw exports, one document for each session, window and channel.

A window that is longer than the grid's has several, one for each part, each replaced whole.

A document is in the exporter's own JSON form, its messages byte for byte as they came; it is
immutable until replaced whole. A complete export of several windows is split into one document
each. A newer document is never replaced: when several runs read the same windows at once, the latest
reading stays, whoever is done last. The store is a folder, or any fsspec URL such as
`s3://bucket/prefix`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import BinaryIO
from uuid import uuid4

from upath import UPath

from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ExportMismatch, StorageRejected, StorageUnavailable
from ingest_pipeline.landing.export_header import ExportHeader
from ingest_pipeline.landing.export_reader import read_header
from ingest_pipeline.landing.stored_files import (
    file_exists,
    file_facts,
    open_file,
    open_root,
    replace_file,
    subfolders,
    write_text,
)
from ingest_pipeline.landing.window_split import split_export

_QUARANTINE = "_quarantine"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Landed:
    """A document in the store.

    Attributes:
        session_id: The session it belongs to.
        key: The window's key, such as `T+005m`, or that of a part of it, such as `T+355m/T+360m`.
        window: The time it covers.
        channel_id: The channel it was read from.
        path: Where it is.
    """

    session_id: str
    key: str
    window: Window
    channel_id: int
    path: UPath

    def open(self) -> BinaryIO:
        """Open the document for reading."""
        return open_file(self.path)

    @property
    def size_bytes(self) -> int:
        """Size of the document."""
        return file_facts(self.path).size_bytes

    def header(self) -> ExportHeader:
        """Read what the document says of itself."""
        with self.open() as stream:
            return read_header(stream, str(self.path))


class LandingStore:
    """Where raw exports land.

    Args:
        root: A folder or an fsspec URL.
    """

    def __init__(self, root: str) -> None:
        """Point at the root; nothing is touched yet."""
        self.root = open_root(root)

    def document(self, session_id: str, key: str, window: Window, channel_id: int) -> Landed:
        """Return the place of a document, whether it is there or not."""
        path = self.root / session_id / key / f"{channel_id}.json"
        return Landed(session_id, key, window, channel_id, path)

    def land(
        self,
        export: Path,
        session_id: str,
        windows: Sequence[tuple[str, Window]],
        channel_id: int,
        read_at: datetime,
    ) -> list[Landed]:
        """Split a complete export by window and put each part in its place, unless a newer one is there.

        Args:
            export: The exporter's file, complete and checked.
            session_id: The session it was made for.
            windows: Keys and times of the windows it covers, in order.
            channel_id: The channel it was read from.
            read_at: When the exporter was started, aware UTC: nothing in the export was read before.

        Returns:
            One document for each window, also for those without a message.

        Raises:
            ExportMismatch: A landed document was read in the future, so this clock or the clock it was read
                by is wrong; the export is in quarantine.
            StorageRejected: The store cannot be written.
            StorageUnavailable: The store does not answer.
        """
        places = [self.document(session_id, key, window, channel_id) for key, window in windows]
        with _store_errors(str(self.root)):
            self._refuse_before(places, export, read_at)
            with split_export(export, [place.window for place in places], read_at) as parts:
                for place, part in zip(places, parts, strict=True):
                    self._put(place, part, read_at)
        return places

    def _refuse_before(self, places: Sequence[Landed], export: Path, read_at: datetime) -> None:
        newest = max(self._landed_at(place) for place in places)
        if newest > max(read_at, datetime.now(UTC)):
            kept = self.quarantine(
                export, f"an export of {newest.isoformat()}, in the future, has landed already"
            )
            raise ExportMismatch(
                f"the export of channel {places[0].channel_id} of {read_at.isoformat()} is older than what "
                f"session {places[0].session_id!r} has landed, which was read at {newest.isoformat()}, in "
                f"the future: check this machine's clock; the export is in quarantine at {kept}"
            )

    def _put(self, place: Landed, part: Path, read_at: datetime) -> None:
        landed_at = self._landed_at(place)
        if landed_at > read_at:
            _logger.info("%s was read again meanwhile, at %s, and stays", place.path, landed_at.isoformat())
        else:
            replace_file(place.path, part)

    def landed(
        self, session_id: str, windows: Sequence[tuple[str, Window]], channel_ids: Sequence[int]
    ) -> list[Landed]:
        """Return the documents that are there, of some windows and channels of a session."""
        places = [
            self.document(session_id, key, window, channel_id)
            for key, window in windows
            for channel_id in channel_ids
        ]
        return [place for place in places if file_exists(place.path)]

    def session_ids(self) -> list[str]:
        """Return the sessions that have a folder here."""
        return sorted(folder.name for folder in subfolders(self.root) if folder.name != _QUARANTINE)

    def quarantine(self, damaged: Path, reason: str) -> UPath:
        """Put a file that must not be taken for good aside, with the reason beside it."""
        folder = self.root / _QUARANTINE / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex}"
        replace_file(folder / damaged.name, damaged)
        write_text(folder / "reason.json", json.dumps({"file": damaged.name, "reason": reason}))
        return folder

    def _landed_at(self, place: Landed) -> datetime:
        if not file_exists(place.path):
            return datetime.min.replace(tzinfo=UTC)
        try:
            return place.header().read_at or datetime.min.replace(tzinfo=UTC)
        except (StorageRejected, StorageUnavailable, OSError):
            # Nothing is known of a document that cannot be read now; it may well be the newer one.
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it may be replaced
            del error
            return datetime.min.replace(tzinfo=UTC)


@contextmanager
def _store_errors(root: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageRejected(
            f"the landing store {root}, or the folder for temporary files {gettempdir()}, cannot be written "
            f"({error.strerror or error}): free space, fix the permissions, or set INGEST_LANDING_URL or "
            "TMPDIR to another place"
        ) from error
