"""The rivals' SQL, by name, from `sql/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ingest_pipeline.storage.engine.queries import parse_queries

_FOLDER = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> str:
    """Return a statement."""
    found = {
        query.name: query.text
        for file in sorted(_FOLDER.glob("*.sql"))
        for query in parse_queries(file.read_text(encoding="utf-8"))
    }
    return found[name]
