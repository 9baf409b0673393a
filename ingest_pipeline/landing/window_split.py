"""The split of one export into a document for each window, every message byte for byte."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ingest_pipeline.domain.normalize import parse_timestamp
from ingest_pipeline.domain.window import Window
from ingest_pipeline.landing.export_reader import read_document


class _Stamp(msgspec.Struct):
    timestamp: Any = None


@contextmanager
def split_export(export: Path, windows: Sequence[Window], read_at: datetime) -> Iterator[list[Path]]:
    """Write one document for each window into a temporary folder that lasts as long as the context.

    A message that no window takes (no readable time, or posted in the millisecond after the last
    window, which the exporter lets through) goes to the nearest one: there the normalizer counts it.

    Args:
        export: A complete export in the exporter's JSON form.
        windows: The windows, in time order.
        read_at: Written into each document: nothing in it was read before.

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
            for part, window in zip(parts, windows, strict=True):
                part.begin(envelope, window, read_at)
            for run in runs:
                for index, elements in groupby(run, partial(_index, starts=starts)):
                    parts[index].add(elements)
        for part in parts:
            part.end()
        yield [part.path for part in parts]


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
