"""The undo file: copies of the metadata blocks in use, kept beside a database file before each write.

A checkpoint writes data to blocks that are free, and at last the header that refers to them: a process
killed before that has changed nothing. Blocks of metadata alone are written in place (`Flush` in
https://github.com/duckdb/duckdb/blob/main/src/storage/metadata/metadata_manager.cpp), where a process
killed in the middle of such a write leaves a block that DuckDB refuses, and with it the whole file. A
copy of each is made durable here before the first byte of a transaction is written. It is put back only
while the headers are those that it was taken under.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ingest_pipeline.storage.engine.duckdb.layout import Headers, is_whole, read_block, read_blocks

_MAGIC = b"IPUNDO01"
_DIGEST_BYTES = 32
# Digest of the headers, bytes of a block, number of blocks.
_HEAD = struct.Struct("<32sQQ")
# Id and digest of a block.
_ENTRY = struct.Struct("<Q32s")
_HEAD_STEP = 65_536


@dataclass(frozen=True, slots=True)
class Undo:
    """The content of an undo file.

    Attributes:
        file: The undo file, open.
        headers_digest: Digest of the headers that the copies were taken under.
        block_bytes: Bytes of a block.
        digests: The digest of each block's copy by the block's id, in the order of the copies.
    """

    file: int
    headers_digest: bytes
    block_bytes: int
    digests: dict[int, bytes]

    def copy_of(self, block: int) -> bytes | None:
        """Return the copy of a block, None when there is none or it is damaged itself."""
        if block not in self.digests:
            return None
        offset = _head_bytes(len(self.digests)) + list(self.digests).index(block) * self.block_bytes
        content = os.pread(self.file, self.block_bytes, offset)
        is_right = _digest(content) == self.digests[block] and is_whole(content)
        return content if is_right else None


def undo_path(path: Path) -> Path:
    """Return where the undo file of a database file is."""
    return path.with_name(f"{path.name}.undo")


def save(path: Path, file: int, headers: Headers) -> None:
    """Make copies of all metadata in effect durable.

    Args:
        path: The database file, for the name of the undo file.
        file: The database file, open.

    Raises:
        OSError: They cannot be written.
        Unreadable: A block of metadata is damaged; the copies of before are as they were.
    """
    # All are read before the first copy is overwritten, which may be needed to put one back.
    contents = {block: read_block(file, headers, block) for block in read_blocks(file, headers).metadata}
    target = undo_path(path)
    is_new = not target.exists()
    undo = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        offset = _head_bytes(len(contents))
        entries = []
        for block, content in contents.items():
            if os.pread(undo, headers.block_bytes, offset) != content:
                _write(undo, content, offset)
            entries.append(_ENTRY.pack(block, _digest(content)))
            offset += headers.block_bytes
        head = _HEAD.pack(headers.digest, headers.block_bytes, len(contents)) + b"".join(entries)
        _write(undo, _MAGIC + _digest(head) + head, 0)
        os.ftruncate(undo, offset)
        os.fdatasync(undo)
    finally:
        os.close(undo)
    if is_new:
        sync_folder(path.parent)


@contextmanager
def opened(path: Path) -> Iterator[Undo | None]:
    """Open the undo file of a database file; None when there is none or its head is damaged."""
    try:
        file = os.open(undo_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _read(file)
    finally:
        os.close(file)


def discard(path: Path) -> None:
    """Remove the copies: the database file is another one now."""
    undo_path(path).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(file: int) -> Undo | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    found = os.pread(file, start + _HEAD.size, 0)
    if len(found) < start + _HEAD.size or not found.startswith(_MAGIC):
        return None
    headers_digest, block_bytes, count = _HEAD.unpack_from(found, start)
    if count * _ENTRY.size > os.fstat(file).st_size:
        return None
    head = os.pread(file, _HEAD.size + count * _ENTRY.size, start)
    if _digest(head) != found[len(_MAGIC) : start]:
        return None
    digests = dict(_ENTRY.iter_unpack(head[_HEAD.size :]))
    return Undo(file, headers_digest, block_bytes, digests)


def _head_bytes(count: int) -> int:
    taken = len(_MAGIC) + _DIGEST_BYTES + _HEAD.size + count * _ENTRY.size
    return -(-taken // _HEAD_STEP) * _HEAD_STEP


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _write(file: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(file, left, offset)
        offset += written
        left = left[written:]
