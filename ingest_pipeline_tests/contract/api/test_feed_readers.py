"""Other tools on the change feed: dlt into DuckDB, and a Singer tap, each run for real."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import jsonschema
import pytest

from ingest_pipeline.api.routes.messages.messages import MessageModel
from ingest_pipeline.domain.window import Window
from ingest_pipeline.feed_readers.changes import _OTHER_COLUMNS, COLUMNS
from ingest_pipeline.feed_readers.dlt_source import messages
from ingest_pipeline.feed_readers.singer_tap import TapIngest
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline_tests.api_worlds import NOW, fill, ingest_export, served, settings_for
from ingest_pipeline_tests.exports import START, message

TOKEN = "read-token"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A database with six messages, which may be read with a token."""
    built = build_services(settings_for(tmp_path / "data", api_read_token=TOKEN))
    fill(built)
    yield built
    built.database.close()


def edit(services: Services) -> None:
    """Edit the first message twice and add one whose text looks like a time."""
    window = Window(START, START + timedelta(minutes=5))
    for number, text in enumerate(("edited", "edited again"), start=1):
        edited = (START + timedelta(minutes=6, seconds=number)).isoformat()
        messages = [message(0, text, timestampEdited=edited), message(110, "2026-09-06T13:00:00Z")]
        ingest_export(services, messages, window=window, read_at=NOW + timedelta(seconds=number))


def test_the_columns_are_those_of_the_interface() -> None:
    """A new column of messages is not forgotten here."""
    assert COLUMNS.keys() - _OTHER_COLUMNS.keys() == MessageModel.model_fields.keys()


@pytest.mark.slow
def test_dlt_loads_what_has_changed_since_its_last_run(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message once, as it stands; a third run without changes loads nothing."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    database = tmp_path / "loaded.duckdb"
    pipeline = dlt.pipeline(
        "archive",
        pipelines_dir=str(tmp_path / "dlt"),
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="discord",
    )

    def loaded() -> list[tuple[Any, ...]]:
        with duckdb.connect(str(database), read_only=True) as connection:
            table = connection.table("discord.messages").order("discord_id")
            return table.project("raw_content, typeof(posted_at)").fetchall()

    with served(services) as url:
        pipeline.run(messages(url, TOKEN))
        assert len(loaded()) == 6
        edit(services)
        pipeline.run(messages(url, TOKEN))
        rows = loaded()
        assert (len(rows), rows[0][0], rows[-1][0]) == (7, "edited again", "2026-09-06T13:00:00Z")
        assert {row[1] for row in rows} == {"TIMESTAMP WITH TIME ZONE"}
        assert not pipeline.run(messages(url, TOKEN)).loads_ids


def test_the_singer_tap_resumes_from_its_state(services: Services) -> None:
    """Its records fit the schema it announces; after a state come the changes that followed."""
    with served(services) as url:
        first = tapped(url)
        [schema] = [each["schema"] for each in first if each["type"] == "SCHEMA"]
        records = [each["record"] for each in first if each["type"] == "RECORD"]
        for record in records:
            jsonschema.validate(record, schema)
        assert len({record["discord_id"] for record in records}) == 6
        state = [each["value"] for each in first if each["type"] == "STATE"][-1]
        edit(services)
        after = [each["record"] for each in tapped(url, state) if each["type"] == "RECORD"]
    positions = [record["position"] for record in after]
    assert positions == sorted(positions)
    assert positions[0] > records[-1]["position"]
    assert {record["raw_content"] for record in after} == {"edited again", "2026-09-06T13:00:00Z"}


def tapped(url: str, state: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run the tap and return its messages."""
    output = io.StringIO()
    with redirect_stdout(output):
        TapIngest(config={"api_url": url, "token": TOKEN}, state=state).sync_all()
    return [json.loads(line) for line in output.getvalue().splitlines()]
