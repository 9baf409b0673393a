"""Scan requests: scan runs requested over the HTTP interface, as opposed to planned ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.runs.scan_runs import ScanRun, run_from


def request_scan(connection: Connection, scan_run_id: str, *, now: datetime) -> None:
    """Ask for a scan run that is planned."""
    connection.execute("request_scan", scan_run_id=scan_run_id, requested_at=now)


def requested_runs(connection: Connection) -> list[ScanRun]:
    """Return the scan runs that were asked for and are not over, the first asked for first."""
    return [run_from(row) for row in connection.fetch_all("requested_runs")]


def drop_requests(connection: Connection, scan_run_ids: Sequence[str]) -> None:
    """Forget requests that were answered, and those of runs that something else has ended."""
    connection.execute("drop_requests", scan_run_ids=list(scan_run_ids))
