"""The layout of a DuckDB file: three headers, then blocks, each with a checksum of its content.

Facts about the format of DuckDB 2.0, read only; see
https://duckdb.org/docs/stable/internals/storage, `DatabaseHeader` and `LoadFreeList` in
https://github.com/duckdb/duckdb/blob/main/src/storage/single_file_block_manager.cpp, and
`MetadataManager` in .../src/storage/metadata/metadata_manager.cpp.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import duckdb
import numpy as np

# The format is private to DuckDB: nothing is put back into a file of a version that was not tried.
TESTED_VERSIONS = frozenset({"2.0.0"})
HEADER_BYTES = 4096
FIRST_BLOCK = 3 * HEADER_BYTES
CHECKSUM_BYTES = 8
# `Checksum` in https://github.com/duckdb/duckdb/blob/main/src/common/checksum.cpp
_CHECKSUM_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_CHECKSUM_START = 5381
_MAGIC = b"DUCK"
_IDENTIFIER = slice(124, 140)
# Iteration, root, free list, number of blocks, bytes of a block.
_DATABASE_HEADER = struct.Struct("<5Q")
_PARTS_OF_A_METADATA_BLOCK = 64
_NOWHERE = 2**64 - 1
_BLOCK_OF_POINTER = 2**56 - 1


class Unreadable(Exception):
    """A header or block is not what was written.

    Attributes:
        where: Which one, for people.
    """

    def __init__(self, where: str) -> None:
        """Keep which one."""
        super().__init__(where)
        self.where = where


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a file.

    Attributes:
        identifier: The file's own random id, 16 bytes.
        iteration: Number of the checkpoint in effect.
        root: Where the tables are described.
        free_list: Where the free list begins, as a pointer into a block of metadata.
        block_count: Blocks in the file.
        block_bytes: Bytes of a block, its checksum included.
        digest: Of all bytes of the main header and of the header in effect: 32 bytes.
    """

    identifier: bytes
    iteration: int
    root: int
    free_list: int
    block_count: int
    block_bytes: int
    digest: bytes

    def location(self, block: int) -> int:
        """Return where a block begins, in bytes."""
        return FIRST_BLOCK + block * self.block_bytes


@dataclass(frozen=True, slots=True)
class Blocks:
    """The use of a file's blocks.

    Attributes:
        free: Ids of those in no use; what is in them is of no account.
        metadata: Ids of those that hold metadata, which a checkpoint writes in place.
    """

    free: frozenset[int]
    metadata: tuple[int, ...]


def is_tested() -> bool:
    """Return whether the format of the DuckDB that is installed is known."""
    return duckdb.__version__ in TESTED_VERSIONS


def tested_versions() -> str:
    """Return the versions of DuckDB whose format is known, for people."""
    return ", ".join(sorted(TESTED_VERSIONS))


def checksum_of(content: bytes) -> bytes:
    """Return the checksum of a block's content as DuckDB writes it before that: 8 bytes."""
    words = np.frombuffer(content, "<u8") * _CHECKSUM_FACTOR
    return (int(np.bitwise_xor.reduce(words)) ^ _CHECKSUM_START).to_bytes(CHECKSUM_BYTES, "little")


def is_whole(block: bytes) -> bool:
    """Return whether a header's or block's checksum is that of its content."""
    is_complete = len(block) >= HEADER_BYTES and len(block) % CHECKSUM_BYTES == 0
    return is_complete and block.startswith(checksum_of(block[CHECKSUM_BYTES:]))


def is_database(file: int) -> bool:
    """Return whether an open file is a DuckDB database, at least by one of its headers."""
    return any(is_whole(header) for header in _headers(file))


def read_headers(file: int) -> Headers:
    """Read the headers of an open file.

    Raises:
        Unreadable: One of them is damaged.
    """
    main, first, second = _headers(file)
    for name, header, location in (
        ("main header", main, 0),
        ("first database header", first, HEADER_BYTES),
        ("second database header", second, 2 * HEADER_BYTES),
    ):
        if not is_whole(header):
            raise Unreadable(f"the {name} (at byte {location})")
    if main[CHECKSUM_BYTES : CHECKSUM_BYTES + len(_MAGIC)] != _MAGIC:
        raise Unreadable("the main header (at byte 0)")
    fields = [_DATABASE_HEADER.unpack_from(header, CHECKSUM_BYTES) for header in (first, second)]
    # DuckDB takes the second one when both are equal.
    active = 0 if fields[0][0] > fields[1][0] else 1
    digest = blake2b(main + (first, second)[active], digest_size=32).digest()
    iteration, root, free_list, block_count, block_bytes = fields[active]
    return Headers(main[_IDENTIFIER], iteration, root, free_list, block_count, block_bytes, digest)


def read_block(file: int, headers: Headers, block: int) -> bytes:
    """Read a block, its checksum included.

    Raises:
        Unreadable: Its checksum is not that of its content.
    """
    content = os.pread(file, headers.block_bytes, headers.location(block))
    if len(content) < headers.block_bytes or not is_whole(content):
        raise Unreadable(f"block {block} (at byte {headers.location(block)})")
    return content


def read_blocks(file: int, headers: Headers) -> Blocks:
    """Read what the blocks of an open file are used for.

    Raises:
        Unreadable: A block whose checksum differs is damaged.
    """
    if headers.free_list == _NOWHERE:
        return Blocks(frozenset(), ())
    stream = _MetadataStream(file, headers, headers.free_list)
    free = frozenset(stream.number() for _ in range(stream.number()))
    for _ in range(stream.number()):
        # A block that several columns share, and by how many.
        stream.take(12)
    metadata = []
    for _ in range(stream.number()):
        metadata.append(stream.number())
        # Which of its parts are free.
        stream.number()
    return Blocks(free, tuple(sorted(metadata)))


def damaged_block(file: int, headers: Headers, free: frozenset[int]) -> str | None:
    """Read every block that is in use and return the first damaged one, None when all are whole."""
    for block in range(headers.block_count):
        if block in free:
            continue
        try:
            read_block(file, headers, block)
        except Unreadable as found:
            return found.where
    return None


def _headers(file: int) -> list[bytes]:
    return [os.pread(file, HEADER_BYTES, HEADER_BYTES * index) for index in range(3)]


class _MetadataStream:
    """Metadata from a pointer on: parts of blocks, each of which begins with a pointer to the next."""

    def __init__(self, file: int, headers: Headers, pointer: int) -> None:
        self._bytes = self._read(file, headers, pointer)
        self._held = b""

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        while len(self._held) < count:
            part = next(self._bytes, None)
            if part is None:
                raise Unreadable("the free list, which ends too early")
            self._held += part
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def number(self) -> int:
        """Return the next number of eight bytes."""
        return int.from_bytes(self.take(8), "little")

    @staticmethod
    def _read(file: int, headers: Headers, pointer: int) -> Iterator[bytes]:
        size = (headers.block_bytes - CHECKSUM_BYTES) // _PARTS_OF_A_METADATA_BLOCK // 8 * 8
        while pointer != _NOWHERE:
            block = read_block(file, headers, pointer & _BLOCK_OF_POINTER)
            begin = CHECKSUM_BYTES + (pointer >> 56) * size
            pointer = int.from_bytes(block[begin : begin + 8], "little")
            yield block[begin + 8 : begin + size]
