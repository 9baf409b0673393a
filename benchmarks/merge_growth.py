"""The growth section: small merges into few and many rows, and the file after thousands of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from pydantic import SecretStr

from benchmarks.figures import spread
from benchmarks.targets import Targets
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import load_settings
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.merge import merge_messages

SMALL = 30
MERGES = 40
_NEW = 25
_CHUNK = 200_000
# The lowest id of the messages that fill a table: a moment of 2023, one each second from there.
_LOWEST = 1058897346656329728
_SECOND = 1000 << 22
_START = datetime(2023, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Grown:
    """A table of a size, and where its next message goes."""

    rows: int
    services: Services


def small_merges(
    folder: Path, template: pa.Table, sizes: Sequence[int], say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    """Yield one record for each engine and size: what merging 30 messages takes.

    Tables of all sizes are made first, and then take a merge each in turns.

    Args:
        folder: For the tables; removed afterwards.
        template: Rows whose content is used over and over.
        sizes: Rows in the tables.
        say: Told what happens.
    """
    for engine in ("duckdb", "postgres"):
        with Targets(folder) as targets:
            grown = []
            for size in sizes:
                place = folder / f"{engine}-{size}"
                shutil.rmtree(place, ignore_errors=True)
                url = targets.lasting(f"rows_{size}") if engine == "postgres" else None
                services = _services(place, url)
                began = time.perf_counter()
                _fill(services, template, size)
                say(f"{engine}: {size:,} rows in {time.perf_counter() - began:.0f} s")
                grown.append(Grown(size, services))
            taken = _in_turns(grown, template)
            for table in grown:
                ordered = spread(taken[table.rows])
                say(f"  {engine} {table.rows:,}: {ordered.median * 1000:.0f} ms")
                yield {
                    "engine": engine,
                    "rows": table.rows,
                    "seconds": taken[table.rows],
                    "load": os.getloadavg()[0],
                }
                table.services.database.close()
                shutil.rmtree(folder / f"{engine}-{table.rows}", ignore_errors=True)


def file_growth(
    folder: Path, template: pa.Table, merges: int, say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    """Yield the size of the embedded database's file as small merges go on, and after one large merge."""
    small, large = folder / "file-small", folder / "file-large"
    for place in (small, large):
        shutil.rmtree(place, ignore_errors=True)
    services = _services(small, None)
    began = time.perf_counter()
    for number in range(merges):
        rows = _rows(template, number * SMALL, SMALL)
        services.database.run(lambda connection, rows=rows: _merge(connection, rows))  # type: ignore[misc]
        if (number + 1) % max(1, merges // 20) == 0:
            size = services.settings.database_path.stat().st_size
            yield {"merges": number + 1, "rows": (number + 1) * SMALL, "bytes": size}
    say(f"{merges} merges of {SMALL} messages in {time.perf_counter() - began:.0f} s")
    once = _services(large, None)
    everything = _rows(template, 0, merges * SMALL)
    once.database.run(lambda connection: _merge(connection, everything))
    size = once.settings.database_path.stat().st_size
    yield {"merges": 1, "rows": merges * SMALL, "bytes": size}
    for place in (small, large):
        shutil.rmtree(place, ignore_errors=True)


def _in_turns(grown: list[Grown], template: pa.Table) -> dict[int, list[float]]:
    taken: dict[int, list[float]] = {table.rows: [] for table in grown}
    for number in range(MERGES + 2):
        for table in grown:
            # As a tick does: most messages are new, some were read before.
            rows = _rows(template, table.rows + number * _NEW - (SMALL - _NEW), SMALL)
            began = time.perf_counter()
            table.services.database.run(lambda connection, rows=rows: _merge(connection, rows))  # type: ignore[misc]
            taken[table.rows].append(time.perf_counter() - began)
    return {rows: seconds[2:] for rows, seconds in taken.items()}


def _merge(connection: Connection, rows: pa.Table) -> None:
    merge_messages(connection, rows, now=datetime.now(UTC))


def _services(folder: Path, url: str | None) -> Services:
    secret = SecretStr(url) if url else None
    return build_services(load_settings(data_dir=folder, database_url=secret))


def _fill(services: Services, template: pa.Table, rows: int) -> None:
    """Append rows as `ingest database copy` does, a transaction for each chunk."""
    services.database.migrate()
    for start in range(0, rows, _CHUNK):
        chunk = _rows(template, start, min(_CHUNK, rows - start))
        moments = chunk["observed_at"]
        for name in ("first_observed_at", "created_at", "updated_at"):
            chunk = chunk.append_column(name, moments)
        with services.database.write() as connection:
            connection.load("messages", chunk)


def _rows(template: pa.Table, start: int, count: int) -> pa.Table:
    """Return rows that begin at a place in the sequence that fills tables, content by turns."""
    import numpy as np

    places = np.arange(start, start + count, dtype=np.int64)
    rows = template.take(pa.array(places % template.num_rows))
    posted = np.datetime64(_START.replace(tzinfo=None), "us") + places * np.timedelta64(1, "s")
    columns = {
        "discord_id": pa.array(_LOWEST + places * _SECOND),
        "posted_at": pa.array(posted).cast(pa.timestamp("us", tz="UTC")),
        # Read soon after it was posted, so that reading it again is no news.
        "observed_at": pa.array(posted + np.timedelta64(timedelta(hours=1))).cast(
            pa.timestamp("us", tz="UTC")
        ),
    }
    for name, column in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), template.schema.field(name), column)
    return rows
