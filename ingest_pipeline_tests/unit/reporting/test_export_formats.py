"""Formats of exported messages: columns are written as a whole, with the bytes that row by row would give."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_pipeline.reporting import export
from ingest_pipeline.reporting.export import Heading
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA
from ingest_pipeline_tests.thoroughness import examples

TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\\n\t\x00\x1f\x7f\u2028=+@\U0001f3ce')),
    max_size=8,
)
TIMES = st.datetimes(datetime(2015, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
JSON_TEXTS = st.one_of(
    st.just("[]"),
    st.lists(st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=2), max_size=2).map(json.dumps),
)


def values_of(field: pa.Field) -> st.SearchStrategy[Any]:
    """Return values of a column of exported messages."""
    if field.name in export._JSON_COLUMNS:
        values: st.SearchStrategy[Any] = JSON_TEXTS
    elif pa.types.is_timestamp(field.type):
        values = TIMES | TIMES.map(lambda moment: moment.replace(microsecond=0))
    elif pa.types.is_string(field.type):
        values = TEXTS
    elif pa.types.is_boolean(field.type):
        values = st.booleans()
    elif pa.types.is_floating(field.type):
        values = st.sampled_from([0.0, 0.3, 1.0, 0.1 + 0.2, 1e-5, 123456.75])
    else:
        bits = field.type.bit_width - 1
        values = st.integers(-(2**bits), 2**bits - 1)
    return st.one_of(st.none(), values)


ROWS = st.fixed_dictionaries({field.name: values_of(field) for field in EXPORT_SCHEMA})


def written(kind: ExportFormat, pages: list[pa.Table]) -> bytes:
    """Write pages in a format."""
    stream = io.BytesIO()
    export._WRITERS[kind](iter(pages), Heading("title"), stream)
    return stream.getvalue()


def shown(name: str, value: Any) -> Any:
    """Return a value as JSON is to have it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if name in export._JSON_COLUMNS:
        return json.loads(value)
    return str(value) if name.endswith(("_id", "_digest")) else value


@settings(max_examples=examples(20))
@given(st.lists(ROWS, max_size=6), st.integers(1, 4))
def test_json_is_what_each_row_alone_would_be(rows: list[dict[str, Any]], rows_at_once: int) -> None:
    """Whatever texts hold, in one page or in several, and however many rows are put together."""
    lines = [
        json.dumps({name: shown(name, row[name]) for name in EXPORT_SCHEMA.names}, ensure_ascii=False)
        for row in rows
    ]
    wanted = "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
    table = pa.Table.from_pylist(rows, EXPORT_SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_JSON_ROWS", rows_at_once)
        assert written(ExportFormat.JSON, [table] if rows else []).decode() == wanted
        pages = [table.slice(first, 2) for first in range(0, len(rows), 2)]
        assert written(ExportFormat.JSON, pages).decode() == wanted


def test_csv_marks_formulas_and_keeps_the_others() -> None:
    """Beside texts that are none and cells without a value."""
    row = dict.fromkeys(EXPORT_SCHEMA.names) | {"discord_id": 2**62 + 1}
    rows = [row | {"driver": text} for text in ("=1+1", None, "plain", "＋1", "")]
    [head, *lines] = (
        written(ExportFormat.CSV, [pa.Table.from_pylist(rows, EXPORT_SCHEMA)]).decode().splitlines()
    )
    place = head.replace('"', "").split(",").index("driver")
    assert [line.split(",")[place] for line in lines] == ['"\'=1+1"', "", '"plain"', '"\'＋1"', '""']
    assert {line.split(",")[0] for line in lines} == {str(2**62 + 1)}
