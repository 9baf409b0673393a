"""DuckDB's write-ahead log, with commits that are not in the file yet.

An entry is its size, its checksum and its content. DuckDB checks the checksums, but takes an entry whose size
goes past the end for one that a killed writer did not finish, and drops it and all after it without a
word: one wrong bit in a size loses commits. It reads the beginning of the log without any checksum. See
`ReplayLog` in https://github.com/duckdb/duckdb/blob/main/src/storage/wal_replay.cpp.
"""

from __future__ import annotations

from pathlib import Path

from ingest_pipeline.storage.engine.duckdb.layout import Headers, Unreadable

_ENTRY_HEAD_BYTES = 16
# The checksum and content of the entry that ends a commit: always the same.
_COMMIT = bytes.fromhex("e7fe7d722fed3d5e") + bytes.fromhex("640064ffff")


def log_path(path: Path) -> Path:
    """Return where the log of a database file is."""
    return path.with_name(f"{path.name}.wal")


def check_log(log: bytes, headers: Headers) -> None:
    """Check what DuckDB does not.

    Args:
        log: All bytes of the log; what a killed writer did not finish is at its end.
        headers: The headers of its database file.

    Raises:
        Unreadable: The log is damaged, or of another file.
    """
    # A checkpoint that was finished but for the log's removal leaves one of the iteration before.
    iterations = (headers.iteration, max(headers.iteration - 1, 0))
    beginnings = [_beginning(headers, iteration) for iteration in iterations]
    beginning = next((each for each in beginnings if log.startswith(each)), None)
    if beginning is None:
        if any(each.startswith(log) for each in beginnings):
            return
        raise Unreadable("the log at its beginning")
    position = len(beginning)
    while position + _ENTRY_HEAD_BYTES <= len(log):
        size = int.from_bytes(log[position : position + 8], "little")
        if position + _ENTRY_HEAD_BYTES + size > len(log):
            break
        position += _ENTRY_HEAD_BYTES + size
    # Commits are written in order, so nothing that was not finished is followed by the end of a commit.
    if _COMMIT in log[position:]:
        raise Unreadable(f"the log at byte {position}")


def _beginning(headers: Headers, iteration: int) -> bytes:
    """Return how a log begins: its version, and which checkpoint of which file it goes on from."""
    identifier = b"".join(_number(byte) for byte in headers.identifier)
    return (
        b"\x64\x00\x62\x65\x00\x02\x66\x00"
        + _number(len(headers.identifier))
        + identifier
        + b"\x67\x00"
        + _number(iteration)
        + b"\xff\xff"
    )


def _number(value: int) -> bytes:
    """Write a number in groups of seven bits, the last ones first."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
