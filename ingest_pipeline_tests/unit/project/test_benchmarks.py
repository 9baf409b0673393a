"""What the benchmarks rest on: their inputs, their digests, and the page that is made of results."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.commands import plan
from benchmarks.figures import percentile, spread
from benchmarks.generate import write
from benchmarks.inputs import messages_of, size_name
from benchmarks.jobs import Job
from benchmarks.memory import repeated
from benchmarks.ours import merge, normalized, settings_for
from benchmarks.page import PAGE, render
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.storage.engine.open import open_database

COUNT = 400


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A generated export."""
    return write(tmp_path / "export.json", COUNT)


def test_an_input_is_the_same_every_time_and_partly_defective(export: Path, tmp_path: Path) -> None:
    """Runs can be compared, and about 3 % of the messages become no row."""
    assert write(tmp_path / "again.json", COUNT).read_bytes() == export.read_bytes()
    rows = sum(table.num_rows for table in normalized(str(export)))
    assert 0.94 * COUNT < rows < COUNT


def test_the_setups_of_an_input_are_setups() -> None:
    """Twenty lines, of which none is left unparsed."""
    for index in (0, 1, 399):
        message = parse_setups(plan(index), datetime(2023, 1, 1, tzinfo=UTC))
        assert (len(message.setups), message.unparsed) == (17, ())
        assert plan(index).count("\n") == 19


def test_a_changed_input_differs_in_its_edits_only(export: Path, tmp_path: Path) -> None:
    """Ids, times and everything else stay, so that a rival's second merge finds the same keys."""
    changed = write(tmp_path / "changed.json", COUNT, changed=0.02, hours_later=1)
    before, after = (json.loads(path.read_text(encoding="utf-8"))["messages"] for path in (export, changed))
    edited = [new for old, new in zip(before, after, strict=True) if old != new]
    assert 0 < len(edited) < 0.06 * COUNT
    assert [each.get("id") for each in before] == [each.get("id") for each in after]
    assert all(each["content"].endswith("(edited)") for each in edited)


def test_a_repeated_export_is_one_document_with_ids_of_its_own(export: Path) -> None:
    """What is piped for the memory test is what the exporter would have written."""
    document = json.loads(b"".join(repeated(export, 3)))
    with_id = [each for each in json.loads(export.read_bytes())["messages"] if "id" in each]
    ids = {parse_snowflake(each["id"]) for each in document["messages"] if "id" in each}
    assert document["messageCount"] == len(document["messages"]) == 3 * COUNT
    assert len(ids) == 3 * len(with_id)


def test_this_project_is_measured_doing_what_it_does(export: Path, tmp_path: Path) -> None:
    """The contender merges the whole file into the product's own table."""
    job = Job("ours-duckdb", str(export), "", str(tmp_path / "ingest.duckdb"), str(tmp_path))
    assert merge(job)() == COUNT
    with open_database(settings_for(job)).read() as connection:
        row = connection.fetch_one("count_rows", {"table": "messages"})
    assert row == {"n": sum(table.num_rows for table in normalized(str(export)))}


def test_sizes_have_names() -> None:
    """Both ways."""
    assert [messages_of(name) for name in ("500", "1k", "2M")] == [500, 1_000, 2_000_000]
    assert [size_name(count) for count in (500, 1_000, 2_000_000)] == ["500", "1k", "2M"]
    with pytest.raises(ValueError, match="'many' is no size"):
        messages_of("many")


def test_percentile_and_spread() -> None:
    """The percentile is a value that was measured."""
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.95), percentile(values, 0.5), percentile([7.0], 0.95)) == (95.0, 50.0, 7.0)
    assert (spread(values).low, spread(values).median, spread(values).high) == (1.0, 50.5, 100.0)


def test_the_page_shows_the_results() -> None:
    """It is made of benchmarks/results and never edited by hand."""
    assert render() == PAGE.read_text(encoding="utf-8")
