"""What goes to PostgreSQL in the binary format of COPY comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline_tests.thoroughness import examples

# A text with NUL is no text to PostgreSQL, and a half surrogate pair is not one at all.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
MOMENT = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
PRICE = st.decimals(Decimal(-(10**9) + 1), Decimal(10**9 - 1), places=8)
KINDS: dict[str, tuple[str, pa.DataType, st.SearchStrategy[Any]]] = {
    "name": ("TEXT", pa.string(), TEXT),
    "flag": ("BOOLEAN", pa.bool_(), st.booleans()),
    "short": ("SMALLINT", pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "number": ("INTEGER", pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "discord_id": ("BIGINT", pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "share": ("DOUBLE PRECISION", pa.float64(), st.floats(allow_nan=False)),
    "day": ("DATE", pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "moment": ("TIMESTAMPTZ", pa.timestamp("us", tz="UTC"), MOMENT),
    "price": ("NUMERIC(17, 8)", pa.decimal128(17, 8), PRICE),
    "empty": ("NUMERIC(17, 8)", pa.null(), st.none()),
    "list": ("BIGINT[]", pa.list_(pa.int64()), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)),
}
ROWS = st.lists(
    st.tuples(*(st.none() | strategy for _, _, strategy in KINDS.values())), min_size=1, max_size=8
)


@given(rows=ROWS, skipped=st.integers(0, 2))
@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_kind_of_value_comes_back(
    make_database: Callable[[str], Database],
    copied: list[Database],
    *,
    rows: list[tuple[Any, ...]],
    skipped: int,
) -> None:
    """Nulls, both ends of each range, and rows that lie in the middle of an array."""
    if not copied:
        copied.append(make_database("postgres"))
    names = list(KINDS)
    columns = {
        name: pa.array([row[place] for row in rows], KINDS[name][1]) for place, name in enumerate(names)
    }
    table = pa.table(columns)[skipped:]

    def there_and_back(connection: Connection) -> pa.Table:
        described = ", ".join(f"{name} {KINDS[name][0]}" for name in names)
        connection.run_script("DROP TABLE IF EXISTS kinds; CREATE TABLE kinds (at SERIAL, " + described + ")")
        connection.load("kinds", table)
        listed = ", ".join(names)
        return connection.fetch_arrow(
            "read_first_page", {"table": "kinds", "columns": listed, "key": "at"}, maximum=9
        )

    assert copied[0].run(there_and_back).to_pylist() == table.to_pylist()


@pytest.fixture
def copied() -> list[Database]:
    """Return a place for the one database that all examples of a test use."""
    return []
