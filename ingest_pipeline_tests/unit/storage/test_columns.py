"""Arrow columns made from their buffers are those that Arrow itself makes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.storage.engine.columns import as_rows, column, repeated, scalar
from ingest_pipeline_tests.exports import as_bytes, export, message

VALUES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=6)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.date32(), st.dates()),
    (pa.decimal128(17, 8), st.decimals(-(10**9) + 1, 10**9 - 1, places=8)),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda value: str(value)[:12])
def test_a_column_is_the_one_that_arrow_makes(kind: pa.DataType, values: st.SearchStrategy[Any]) -> None:
    """Nulls, repetitions and emptiness included."""

    @given(st.lists(st.none() | values, max_size=20))
    def holds(listed: list[Any]) -> None:
        made = column(listed, kind)
        made.validate(full=True)
        assert made.equals(pa.array(listed, kind))

    holds()


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=lambda value: str(value)[:12])
def test_a_column_is_read_back_as_arrow_reads_it(kind: pa.DataType, values: st.SearchStrategy[Any]) -> None:
    """Rows of Python values, times aware and UTC."""

    @given(st.lists(st.none() | values, max_size=20))
    def holds(listed: list[Any]) -> None:
        rows = as_rows(pa.table({"one": pa.array(listed, kind), "two": pa.array(listed, kind)}))
        assert rows == [{"one": value, "two": value} for value in listed]
        assert all(row["one"].tzinfo is UTC for row in rows if isinstance(row["one"], datetime))

    holds()


@given(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), st.integers(0, 20))
def test_a_value_is_repeated(value: str | None, length: int) -> None:
    """As often as asked for, and once as a scalar."""
    assert repeated(value, pa.string(), length).to_pylist() == [value] * length
    assert scalar(value, pa.string()).as_py() == value


def test_storing_messages_loads_no_pandas(tmp_path: Path) -> None:
    """The libraries of frames cost half a second and 50 MB in each process that stores a message."""
    messages = [
        message(1, "words"),
        message(2, "`Leclerc` Box, box."),
        message(3, "NVDA\nBreakout above 150"),
    ]
    (tmp_path / "export.json").write_bytes(as_bytes(export(messages)))
    program = """
import sys
from contextlib import suppress
from pgpq import ArrowToPostgresBinaryEncoder
from ingest_pipeline.cli.app import main
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA
ArrowToPostgresBinaryEncoder(STAGING_SCHEMA).write_header()
with suppress(SystemExit):
    main()
print("pandas" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "import", str(tmp_path / "export.json")],
        env={**os.environ, "INGEST_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "created 3" in done.stderr
    assert done.stdout.splitlines()[-1] == "False"
