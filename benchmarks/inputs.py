"""Input files of the benchmarks, made once for each size and kept."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import write
from benchmarks.jobs import PROJECT

CHANGED = 0.02
_SIZE = re.compile(r"(\d+)([kM]?)")
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}


@dataclass(frozen=True, slots=True)
class Inputs:
    """One size's files.

    Attributes:
        count: Messages in each.
        first: The export.
        changed: The same channel read an hour later, 2 % of the messages edited.
        first_rows: The first one's messages, normalized, as Parquet.
        changed_rows: The second one's.
    """

    count: int
    first: Path
    changed: Path
    first_rows: Path
    changed_rows: Path


def messages_of(size: str) -> int:
    """Return the number that `1k`, `100k` or `1M` stands for.

    Raises:
        ValueError: It is no such size.
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(f"{size!r} is no size: give a number of messages such as 500, 100k or 1M")
    return int(match[1]) * _UNITS[match[2]]


def size_name(count: int) -> str:
    """Return a number of messages the short way."""
    for unit in ("M", "k"):
        if count >= _UNITS[unit] and count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]}{unit}"
    return str(count)


def inputs(folder: Path, count: int) -> Inputs:
    """Return a size's files, making those that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Inputs(
        count=count,
        first=folder / f"{count}.json",
        changed=folder / f"{count}-changed.json",
        first_rows=folder / f"{count}.parquet",
        changed_rows=folder / f"{count}-changed.parquet",
    )
    for path, changed, hours in ((made.first, 0.0, 0), (made.changed, CHANGED, 1)):
        if not path.exists():
            draft = path.with_suffix(".draft")
            write(draft, count, changed=changed, hours_later=hours).rename(path)
    for source, rows in ((made.first, made.first_rows), (made.changed, made.changed_rows)):
        if not rows.exists():
            # In a process of its own, so that this one stays small.
            subprocess.run(
                [sys.executable, "-m", "benchmarks.inputs", str(source), str(rows)], cwd=PROJECT, check=True
            )
    return made


def main() -> None:
    """Normalize one file into another."""
    import pyarrow.parquet as pq

    from benchmarks.ours import normalized
    from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA

    source, rows = sys.argv[1:]
    draft = Path(rows).with_suffix(".draft")
    with pq.ParquetWriter(draft, STAGING_SCHEMA) as writer:
        for table in normalized(source):
            writer.write_table(table)
    draft.rename(rows)


if __name__ == "__main__":
    main()
