"""Streams of files to import: counted, decompressed, or of a member of an archive.

Their faults are errors of this project, or are noted where the sound part is wanted all the same.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from ingest_pipeline.errors import BadInput, ExportTruncated, IngestError

# A header is at most this long, and is read twice.
_KEPT_BYTES = 5 * 1024 * 1024
FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""What reading an archive raises when it is damaged, encrypted, or of a kind that Python does not read."""
Count = Callable[[int], None]
Decompress = Callable[[Any], BinaryIO]


@dataclass(slots=True)
class Damage:
    """What is wrong with a file whose sound part is taken all the same; `error` is None while nothing is."""

    error: IngestError | None = None

    def note(self, error: IngestError) -> None:
        """Note the first fault; later ones follow from it."""
        self.error = self.error or error


def unreadable(name: str, error: Exception) -> BadInput:
    """Return the error of a file that cannot be read, or not to its end."""
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return BadInput(f"{name} is encrypted: unpack the archive with its password and give the folder")
    return ExportTruncated(
        f"{name} cannot be read to its end ({error or type(error).__name__}): get the archive again"
    )


class CountedFile(io.FileIO):
    """A file that reports how much of it is read."""

    def __init__(self, path: Path, count: Count) -> None:
        super().__init__(path)
        self._count = count

    def readinto(self, buffer: Any) -> int:
        """Read, and report how much."""
        length = super().readinto(buffer) or 0
        self._count(length)
        return length


class _Member(io.RawIOBase):
    """A file in an archive; its beginning can be read again."""

    def __init__(
        self,
        name: str,
        inner: BinaryIO,
        damage: Damage | None,
        checksum: int | None,
        below: BinaryIO | None,
    ) -> None:
        self._name = name
        self._inner = inner
        self._below = below
        self._damage = damage
        self._expected = checksum
        self._checksum = 0
        self._head: bytearray | None = bytearray()
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._head is not None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or self._head is None or offset > len(self._head):
            raise io.UnsupportedOperation(f"{self._name} can be read again only from its beginning")
        self._position = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        if self._head is not None and self._position < len(self._head):
            part = bytes(self._head[self._position : self._position + len(buffer)])
        else:
            part = self._next(len(buffer))
            if self._head is not None and len(self._head) < _KEPT_BYTES:
                self._head += part
            else:
                self._head = None
        self._position += len(part)
        buffer[: len(part)] = part
        return len(part)

    def _next(self, size: int) -> bytes:
        try:
            part = self._inner.read(size)
        except FAULTS as error:
            return self._end(error)
        self._checksum = zlib.crc32(part, self._checksum)
        if not part and self._expected not in {None, self._checksum}:
            return self._end(zipfile.BadZipFile("its CRC-32 is another than the archive's"))
        return part

    def _end(self, error: Exception) -> bytes:
        """End the stream at a fault, or raise it."""
        fault = unreadable(self._name, error)
        if self._damage is None:
            raise fault from error
        self._damage.note(fault)
        return b""

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
            if self._below:
                self._below.close()
        super().close()


def member_stream(
    name: str,
    inner: BinaryIO,
    damage: Damage | None,
    checksum: int | None = None,
    below: BinaryIO | None = None,
) -> BinaryIO:
    """Return a stream of a file in an archive, whose faults are errors of this project.

    Args:
        name: What to call it in errors.
        inner: Its bytes.
        damage: Where to note a fault, at which the stream then ends; None to raise it.
        checksum: The CRC-32 that its bytes must have, or None.
        below: What `inner` decompresses, which it leaves open; closed with it.
    """
    return cast(BinaryIO, _Member(name, inner, damage, checksum, below))


def as_is(raw: BinaryIO) -> BinaryIO:
    """Return a stream that needs no decompression."""
    return raw


def _zstd(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Arrow(pa.CompressedInputStream(raw, "zstd"))))


class _Arrow(io.RawIOBase):
    """A stream of Arrow's, which gives less than asked for where a frame ends."""

    def __init__(self, inner: pa.CompressedInputStream) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._inner.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


_DECOMPRESSORS: dict[bytes, Decompress] = {
    b"\x1f\x8b": lambda raw: cast(BinaryIO, gzip.GzipFile(fileobj=raw)),
    b"\x28\xb5\x2f\xfd": _zstd,
    b"BZh": lambda raw: cast(BinaryIO, bz2.BZ2File(raw)),
    b"\xfd7zXZ\x00": lambda raw: cast(BinaryIO, lzma.open(raw)),  # noqa: SIM115 - its caller closes it
}


def decompressor(head: bytes) -> Decompress:
    """Return what decompresses a file that begins like this; `as_is` for one that is not compressed."""
    return next((opener for mark, opener in _DECOMPRESSORS.items() if head.startswith(mark)), as_is)
