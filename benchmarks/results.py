"""Results as JSON: measurements with versions, machine and load."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PARTS = (
    "commands",
    "bulk",
    "memory",
    "demo",
    "idle",
    "gateway",
    "merges",
    "sessions",
    "file",
    "history",
    "catalogue",
)
PACKAGES = (
    "ingest_pipeline",
    "duckdb",
    "psycopg",
    "pyarrow",
    "msgspec",
    "dagster",
    "discord.py",
    "dlt",
    "Django",
    "sqlite-utils",
    "pandas",
    "SQLAlchemy",
    "pysimdjson",
)


def save(part: str, records: Sequence[dict[str, Any]], began: datetime, postgres: str | None) -> Path:
    """Write a part's records beside those of the other parts."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{part}.json"
    document = {
        "part": part,
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(postgres),
        "records": list(records),
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def load(part: str) -> dict[str, Any] | None:
    """Return a part's document, or None when it was never measured."""
    path = RESULTS / f"{part}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def machine() -> dict[str, Any]:
    """Describe this machine: cores, memory, system, and the load that was there before."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def versions(postgres: str | None) -> dict[str, str]:
    """Return the versions of everything that takes part."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    if postgres:
        found["PostgreSQL"] = postgres
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
