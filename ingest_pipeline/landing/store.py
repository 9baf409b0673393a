"""The landing store: raw exports, split into one document for each session, window and channel.

A window that is longer than the grid's has several, one for each part, each replaced whole.

A document is in the exporter's own JSON form, its messages byte for byte as they came; it is
immutable until replaced whole. A complete export of several windows is split into one document
each. A newer document is never replaced: when several runs read the same windows at once, the latest
reading stays, in whatever order they end. The store is a folder, or any fsspec URL such as
`s3://bucket/prefix`.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, BinaryIO

import msgspec
from upath import UPath

from ingest_pipeline.domain.erasures import NOTHING_ERASED, Erasures
from ingest_pipeline.domain.messages.normalize import parse_timestamp
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ExportMismatch, StorageRejected, StorageUnavailable
from ingest_pipeline.landing.erasure.files import ExportEraser
from ingest_pipeline.landing.exports.header import ExportHeader
from ingest_pipeline.landing.exports.reader import read_document, read_header
from ingest_pipeline.landing.listings import existing_files, subfolders
from ingest_pipeline.landing.quarantine import quarantine
from ingest_pipeline.landing.raw_store import RawStore
from ingest_pipeline.landing.stored_files import file_exists, file_facts, open_file, open_root, replace_file

_RAW = "_raw"

_logger = logging.getLogger(__name__)


class _Stamp(msgspec.Struct):
    timestamp: Any = None


@contextmanager
def split_export(
    export: Path, windows: Sequence[Window], read_at: datetime, erasures: Erasures = NOTHING_ERASED
) -> Iterator[list[Path]]:
    """Write one document for each window into a temporary folder that lasts as long as the context.

    A message that no window takes (no readable time, or posted in the millisecond after the last
    window, which the exporter lets through) goes to the nearest one: there the normalizer counts it.

    Args:
        export: A complete export in the exporter's JSON form.
        windows: The windows, in time order.
        read_at: Written into each document: nothing in it was read before.
        erasures: What was erased is left out.

    Yields:
        A file for each window, in order.

    Raises:
        ExportMalformed: The export is damaged.
        ExportTruncated: The export is cut off.
    """
    starts = [window.start for window in windows]
    with TemporaryDirectory(prefix="ingest-split-") as folder:
        parts = [_Part(Path(folder) / f"{index}.json") for index in range(len(windows))]
        with export.open("rb") as stream:
            envelope, runs = read_document(stream, export.name)
            eraser = _eraser(export, erasures)
            for part, window in zip(parts, windows, strict=True):
                part.begin(envelope, window, read_at)
            for run in runs:
                kept = eraser.kept(run) if eraser else run
                for index, elements in groupby(kept, partial(_index, starts=starts)):
                    parts[index].add(elements)
        for part in parts:
            part.end()
        yield [part.path for part in parts]


def _eraser(export: Path, erasures: Erasures) -> ExportEraser | None:
    if not erasures:
        return None
    with export.open("rb") as stream:
        header = read_header(stream, export.name)
    return ExportEraser(erasures, header.channel_id, header.parent_id, header.guild_id)


def _index(element: bytes, starts: Sequence[datetime]) -> int:
    posted_at = parse_timestamp(_stamp(element))
    return max(bisect_right(starts, posted_at) - 1, 0) if posted_at else 0


def _stamp(element: bytes) -> Any:
    try:
        return msgspec.json.decode(element, type=_Stamp).timestamp
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # No message, or one with half a surrogate pair, which only the slow way reads.
        with suppress(ValueError, RecursionError):
            value = json.loads(element)
            return value.get("timestamp") if isinstance(value, dict) else None
    return None


class _Part:
    """One document being written; its file is open only meanwhile, since a long session has thousands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def begin(self, envelope: dict[str, Any], window: Window, read_at: datetime) -> None:
        head = {
            **envelope,
            "dateRange": {"after": window.start.isoformat(), "before": window.end.isoformat()},
            "readAt": read_at.isoformat(),
        }
        text = json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}")
        self.path.write_bytes(f'{text},\n  "messages": ['.encode("utf-8", "replace"))

    def add(self, elements: Iterable[bytes]) -> None:
        with self.path.open("ab") as file:
            for element in elements:
                file.write((b"," if self.count else b"") + b"\n    " + element)
                self.count += 1

    def end(self) -> None:
        close = "\n  ]" if self.count else "]"
        with self.path.open("ab") as file:
            file.write(f'{close},\n  "messageCount": {self.count}\n}}'.encode())


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
        """Read the document's header."""
        with self.open() as stream:
            return read_header(stream, str(self.path))


class LandingStore:
    """The landing store of raw exports, and beside them the raw store.

    Args:
        root: A folder or an fsspec URL.

    Attributes:
        root: The store's root.
        raw: Messages as the gateway and Discord's REST interface sent them, in the folder `_raw`.
    """

    def __init__(self, root: str) -> None:
        """Point at the root; nothing is touched yet."""
        self.root = open_root(root)
        self.quarantined = self.root / "_quarantine"
        self.raw = RawStore(self.root / _RAW)

    def document(self, session_id: str, key: str, window: Window, channel_id: int) -> Landed:
        """Return a document of a session, whether it is there or not."""
        path = self.root / session_id / key / f"{channel_id}.json"
        return Landed(session_id, key, window, channel_id, path)

    def land(
        self,
        export: Path,
        session_id: str,
        windows: Sequence[tuple[str, Window]],
        channel_id: int,
        read_at: datetime,
        *,
        erasures: Erasures = NOTHING_ERASED,
    ) -> list[Landed]:
        """Split a complete export by window and put each part in the store, unless a newer one is there.

        Args:
            export: The exporter's file, complete and checked.
            session_id: The session it was made for.
            windows: Keys and times of the windows it covers, in order.
            channel_id: The channel it was read from.
            read_at: When the exporter was started, aware UTC: nothing in the export was read before.
            erasures: What was erased does not land.

        Returns:
            One document for each window, also for those without a message.

        Raises:
            ExportMismatch: A landed document was read in the future, so this clock or the clock it was read
                by is wrong; the export is in quarantine.
            StorageRejected: The store cannot be written.
            StorageUnavailable: The store does not answer.
        """
        documents = [self.document(session_id, key, window, channel_id) for key, window in windows]
        with _store_errors(str(self.root)):
            self._refuse_before(documents, export, read_at)
            windows_of = [document.window for document in documents]
            with split_export(export, windows_of, read_at, erasures) as parts:
                for document, part in zip(documents, parts, strict=True):
                    self._put(document, part, read_at)
        return documents

    def _refuse_before(self, documents: Sequence[Landed], export: Path, read_at: datetime) -> None:
        newest = max(self._landed_at(document) for document in documents)
        if newest > max(read_at, datetime.now(UTC)):
            kept = self.quarantine(
                export, f"an export of {newest.isoformat()}, in the future, has landed already"
            )
            raise ExportMismatch(
                f"the export of channel {documents[0].channel_id} of {read_at.isoformat()} is older than "
                f"what session {documents[0].session_id!r} has landed, which was read at "
                f"{newest.isoformat()}, in the future: check this machine's clock; the "
                f"export is in quarantine at {kept}"
            )

    def _put(self, document: Landed, part: Path, read_at: datetime) -> None:
        landed_at = self._landed_at(document)
        if landed_at > read_at:
            _logger.info(
                "%s was read again meanwhile, at %s, and stays", document.path, landed_at.isoformat()
            )
        else:
            replace_file(document.path, part)

    def landed(
        self, session_id: str, windows: Sequence[tuple[str, Window]], channel_ids: Sequence[int]
    ) -> list[Landed]:
        """Return the documents that are there, of some windows and channels of a session."""
        documents = {
            f"{key}/{channel_id}.json": (key, window, channel_id)
            for key, window in windows
            for channel_id in channel_ids
        }
        return [
            Landed(session_id, *documents[name], path)
            for name, path in existing_files(self.root / session_id, list(documents)).items()
        ]

    def session_ids(self) -> list[str]:
        """Return the sessions that have a folder here."""
        return sorted(folder.name for folder in subfolders(self.root) if not folder.name.startswith("_"))

    def quarantine(self, damaged: Path, reason: str) -> UPath:
        """Put a file that must not be taken for good aside, with the reason beside it."""
        return quarantine(self.quarantined, damaged, reason)

    def _landed_at(self, document: Landed) -> datetime:
        if not file_exists(document.path):
            return datetime.min.replace(tzinfo=UTC)
        try:
            return document.header().read_at or datetime.min.replace(tzinfo=UTC)
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
