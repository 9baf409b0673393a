"""The growth section: thirty new messages with their content into sessions of few and many messages.

Minutes of a session have 20 and 30 messages by turns, so that the median, by which bursts are judged, moves
with each minute that is added.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import SecretStr

from benchmarks.generate import CHANNEL_ID, START
from benchmarks.targets import Targets
from ingest_pipeline.content.sessions import reading_content
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import load_settings
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline.storage.messages.sessions import save_sessions

_ADDED = 30
_TICKS = 30
_CHUNK = 100_000
_SPACING = np.int64(1_500_000)
_MINUTE = np.int64(60_000_000)
_PAIR = 50  # messages of two minutes


@dataclass(slots=True)
class Grown:
    """A session of a size, and the minute in which its next message comes."""

    size: int
    services: Services
    minute: int

    def add(self, template: pa.Table, counts: Sequence[int]) -> None:
        """Merge new messages with their content, some in each of the next minutes."""
        offsets = [
            np.arange(count) * _SPACING + (self.minute + at) * _MINUTE for at, count in enumerate(counts)
        ]
        self.minute += len(counts)
        _merge(self.services, _rows(template, np.concatenate(offsets), START, CHANNEL_ID))


def sessions(
    folder: Path, template: pa.Table, sizes: Sequence[int], say: Callable[[str], None]
) -> Iterator[dict[str, object]]:
    """Yield one record for each engine and size: the CPU time of 30 new messages, the server included.

    Sessions of all sizes are made first, and then take 30 messages each in turns.

    Args:
        folder: For the tables; removed afterwards.
        template: Rows whose content is used over and over.
        sizes: Messages in the sessions.
        say: Told what happens.
    """
    for engine in ("duckdb", "postgres"):
        with Targets(folder) as targets:
            grown = []
            for size in sizes:
                url = targets.lasting(f"session_{size}") if engine == "postgres" else None
                grown.append(_filled(folder / f"{engine}-{size}", url, template, size))
                say(f"{engine}: a session of {size:,}")
            taken: dict[int, list[float]] = {size: [] for size in sizes}
            for tick in range(_TICKS + 2):
                for each in grown:
                    before = time.process_time() + targets.server_cpu()
                    each.add(template, [_ADDED] if tick % 2 else [20, _ADDED - 20])
                    taken[each.size].append(time.process_time() + targets.server_cpu() - before)
            for each in grown:
                yield {
                    "engine": engine,
                    "messages": each.size,
                    "cpu_seconds": taken[each.size][2:],
                    "load": os.getloadavg()[0],
                }
                each.services.database.close()
                shutil.rmtree(folder / f"{engine}-{each.size}", ignore_errors=True)


def _filled(folder: Path, url: str | None, template: pa.Table, size: int) -> Grown:
    shutil.rmtree(folder, ignore_errors=True)
    secret = SecretStr(url) if url else None
    services = build_services(load_settings(data_dir=folder, database_url=secret))
    services.database.migrate()
    fill(services, template, size, START, [CHANNEL_ID])
    return Grown(size, services, size // _PAIR * 2)


def fill(
    services: Services, template: pa.Table, size: int, start: datetime, channel_ids: Sequence[int]
) -> None:
    """Make a session of a year, with messages and their content in its first channel.

    Args:
        start: When it begins, aware UTC.
        channel_ids: Its channels.
    """
    session = Session("session", start, start + timedelta(days=365), tuple(channel_ids))
    services.database.run(lambda connection: save_sessions(connection, [session], now=datetime.now(UTC)))
    minutes = np.repeat(np.arange(2), [20, 30])
    pair = minutes * _MINUTE + np.concatenate([np.arange(20), np.arange(30)]) * _SPACING
    for first in range(0, size, _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, size))
        offsets = pair[numbers % _PAIR] + numbers // _PAIR * 2 * _MINUTE
        _merge(services, _rows(template, offsets, start, channel_ids[0]))


def _merge(services: Services, rows: pa.Table) -> None:
    content = reading_content(services)

    def work(connection: Connection) -> None:
        counts = merge_messages(connection, rows, now=datetime.now(UTC))
        if content:
            content(connection, sorted(counts.changed_ids))

    services.database.run(work)


def _rows(template: pa.Table, offsets: np.ndarray, start: datetime, channel_id: int) -> pa.Table:
    """Return messages that were posted some microseconds after the session's start."""
    rows = template.take(pa.array(offsets // _SPACING % template.num_rows))
    posted = np.datetime64(start.replace(tzinfo=None), "us") + offsets.astype("timedelta64[us]")
    ids = first_id_at(start) + (offsets // 1000 << 22)
    columns = {
        "discord_id": pa.array(ids),
        "channel_id": pa.array(np.full(len(ids), channel_id)),
        "posted_at": pa.array(posted).cast(pa.timestamp("us", tz="UTC")),
        "observed_at": pa.array(posted + np.timedelta64(1, "h")).cast(pa.timestamp("us", tz="UTC")),
    }
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), template.schema.field(name), values)
    return rows
