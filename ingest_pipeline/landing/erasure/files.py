"""Erasure in files: exports, the quarantine and the spool of the gateway.

A file is looked through for the numbers of what was erased first, and is left as it is without any. One
that is changed is replaced as a whole, but for the spool: there a line is written over with one of the same
length, since the bot keeps its place in bytes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from upath import UPath

from ingest_pipeline.domain.erasures import Erasures
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput
from ingest_pipeline.landing.erasure.json_documents import any_names_erased, is_erased, names_erased, scrubbed
from ingest_pipeline.landing.exports.reader import read_document, read_header
from ingest_pipeline.landing.listings import files_in, subfolders
from ingest_pipeline.landing.spool import DAMAGED_FOLDER
from ingest_pipeline.landing.stored_files import READ_BYTES, delete_file, new_version, open_file, remove_tree

_ENCODER = msgspec.json.Encoder()
_logger = logging.getLogger(__name__)


class ExportEraser:
    """Takes messages that were erased out of one export's elements.

    Args:
        erasures: The list.
        channel_id: The export's channel.
        parent_id: That of a thread.
        guild_id: Its guild.

    Attributes:
        count: How many elements were left out or changed so far.
    """

    def __init__(
        self, erasures: Erasures, channel_id: int, parent_id: int | None, guild_id: int | None
    ) -> None:
        """Begin."""
        self.count = 0
        self._erasures = erasures
        self._channels = [each for each in (channel_id, parent_id) if each]
        self._guild_id = guild_id

    def kept(self, elements: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the elements that stay, byte for byte unless they quote or name what was erased."""
        for element in elements:
            after = self._kept(element)
            self.count += after is not element
            if after is not None:
                yield after

    def _kept(self, element: bytes) -> bytes | None:
        erasures = self._erasures
        message = _decoded(element)
        if not isinstance(message, dict):
            # No message: it stays for the normalizer to count, unless it may be what is left of one.
            return None if names_erased(erasures, element) else element
        if any(is_erased(erasures, message, each, self._guild_id) for each in self._channels):
            return None
        if not names_erased(erasures, element):
            return element
        after = scrubbed(erasures, message)
        return element if after is message else _ENCODER.encode(after)


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def erase_from_export(path: UPath, erasures: Erasures, *, dry_run: bool = False) -> int:
    """Take what was erased out of a file in the exporter's JSON form.

    A file that names it and cannot be read, or is in another form, is deleted.

    Returns:
        How many messages were taken out or changed; 1 for a file that was deleted.

    Raises:
        StorageRejected: The store refuses.
        StorageUnavailable: The store does not answer.
    """
    if not erasures:
        return 0
    try:
        with open_file(path) as stream:
            header = read_header(stream, path.name)
        eraser = partial(ExportEraser, erasures, header.channel_id, header.parent_id, header.guild_id)
        # The channel may be what was erased, and is in the head alone.
        if not _is_concerned(path, erasures):
            return 0
        with open_file(path) as stream:
            _, runs = read_document(stream, path.name)
            counting = eraser()
            for run in runs:
                for _ in counting.kept(run):
                    pass
        if counting.count and not dry_run:
            with open_file(path) as stream, new_version(path) as draft, draft.open("wb") as file:
                envelope, runs = read_document(stream, path.name)
                writing = eraser()
                write_document(file, envelope, (element for run in runs for element in writing.kept(run)))
    except BadInput:
        if not _is_concerned(path, erasures):
            return 0
        if not dry_run:
            delete_file(path)
        return 1
    return counting.count


def write_document(file: BinaryIO, envelope: dict[str, Any], elements: Iterable[bytes]) -> int:
    """Write a document in the exporter's form and return how many messages it has.

    Args:
        file: Where to.
        envelope: Everything before the messages.
        elements: The messages.
    """
    text = json.dumps(envelope, ensure_ascii=False, indent=2).removesuffix("\n}")
    file.write(f'{text},\n  "messages": ['.encode("utf-8", "replace"))
    count = 0
    for element in elements:
        file.write((b"," if count else b"") + b"\n    " + element)
        count += 1
    close = "\n  ]" if count else "]"
    file.write(f'{close},\n  "messageCount": {count}\n}}'.encode())
    return count


def _is_concerned(path: UPath, erasures: Erasures) -> bool:
    with open_file(path) as stream:
        return any_names_erased(erasures, iter(lambda: stream.read(READ_BYTES), b""))


def erase_from_quarantine(root: UPath, erasures: Erasures, *, dry_run: bool = False) -> int:
    """Delete what was put aside as damaged and names what was erased; return of how many exports."""
    erased = 0
    for folder in subfolders(root):
        if any(_is_concerned(path, erasures) for path in files_in(folder, "**/*")):
            erased += 1
            if not dry_run:
                remove_tree(folder)
    return erased


def erase_from_spool(folder: Path, erasures: Erasures, *, dry_run: bool = False) -> int:
    """Write over what was erased in the events that wait, while the bot may go on appending.

    Returns:
        How many events were written over.
    """
    erased = 0
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb" if dry_run else "r+b") as file:
            offset = 0
            for line in iter(file.readline, b""):
                after = _without_erased(line, erasures)
                if after != line:
                    erased += 1
                    if not dry_run:
                        os.pwrite(file.fileno(), after, offset)
                offset += len(line)
            if not dry_run:
                os.fsync(file.fileno())
    for path in sorted((folder / DAMAGED_FOLDER).glob("*")):
        if names_erased(erasures, path.read_bytes()):
            erased += 1
            if not dry_run:
                path.unlink()
    return erased


def _without_erased(line: bytes, erasures: Erasures) -> bytes:
    if not line.endswith(b"\n") or not names_erased(erasures, line):
        return line
    stamp, _, text = line.rstrip(b"\n").partition(b" ")
    frame = _decoded(text)
    data = frame.get("d") if isinstance(frame, dict) else None
    if not isinstance(data, dict):
        return _filled(stamp, b"{}", line)
    # A deletion has no words, and must not be lost for the messages that it also names.
    if "author" not in data:
        return line
    if is_erased(erasures, data, parse_snowflake(data.get("channel_id"))):
        return _filled(stamp, b"{}", line)
    after = scrubbed(erasures, data)
    return line if after is data else _filled(stamp, _ENCODER.encode(frame | {"d": after}), line)


def _filled(stamp: bytes, frame: bytes, line: bytes) -> bytes:
    room = len(line) - len(stamp) - 2
    if len(frame) > room:
        _logger.warning("an event that quotes an erased message had to be given up in the spool")
        frame = b"{}"
    return stamp + b" " + frame.ljust(room) + b"\n"
