"""dlt, with its merge disposition and the upsert strategy, on either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from benchmarks.jobs import Job
from benchmarks.ours import normalized, read_rows
from ingest_pipeline.ingestion.documents.chunks import rebatch

# As many rows as this project merges at a time: dlt does better with them than with small tables.
_BATCH_ROWS = 20_000


def merge_arrow(job: Job) -> Callable[[], int]:
    """Feed it with the very Arrow tables that this project merges, as they are read."""
    return _merge(job, lambda: rebatch(normalized(job.source), _BATCH_ROWS))


def merge_tables(job: Job) -> Callable[[], int]:
    """Feed it with Arrow tables that lie in memory."""
    rows = read_rows(job)
    return _merge(job, lambda: rebatch([rows], _BATCH_ROWS))


def merge_dicts(job: Job) -> Callable[[], int]:
    """Feed it with a dictionary for each row, the way most of its sources do."""

    def rows() -> Iterator[list[dict[str, Any]]]:
        for table in rebatch(normalized(job.source), _BATCH_ROWS):
            yield table.to_pylist()

    return _merge(job, rows)


def _dsn(url: str) -> str:
    """Return the URL with its socket's folder in the place of the host, where dlt demands one."""
    parts = urlsplit(url)
    host = quote(parse_qs(parts.query)["host"][0], safe="")
    return f"postgresql://postgres:unused@{host}:5432{parts.path}"


def _merge(job: Job, rows: Callable[[], Iterator[Any]]) -> Callable[[], int]:
    import dlt

    destination = (
        dlt.destinations.postgres(_dsn(job.target))
        if job.is_postgres
        else dlt.destinations.duckdb(job.target)
    )
    # Without being asked to, dlt writes INSERT statements for PostgreSQL; files that are copied are faster.
    file_format: Any = "csv" if job.is_postgres else None
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(Path(job.folder) / "pipelines"),
        destination=destination,
        dataset_name="rival",
    )
    count = 0

    def counted() -> Iterator[Any]:
        nonlocal count
        for item in rows():
            count += len(item)
            yield item

    resource = dlt.resource(
        counted,
        name="messages",
        primary_key="discord_id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )

    def work() -> int:
        pipeline.run(resource, loader_file_format=file_format).raise_on_failed_jobs()
        return count

    return work
