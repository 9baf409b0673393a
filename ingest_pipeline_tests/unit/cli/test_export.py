"""The `ingest export` command: the same messages in every format."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.queries import EXPORT_SCHEMA, MessageFilter, message_pages
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

AWKWARD = 'a "quoted", cell\nwith <b>tags</b> & a tab\t, ünïcode 🏁 and =1+1'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command with a session of three messages, of which one is a highlight."""
    cli = Cli(tmp_path)
    cli.add_session("race", name="Gran Premio <d'Italia>")
    loved = message(1, "`Leclerc` Crash! Red flag!", reactions=[{"emoji": {"name": "x"}, "count": 9}])
    edited = message(2, AWKWARD, timestampEdited=(START + timedelta(seconds=9.25)).isoformat())
    export = write_export(tmp_path / "export.json", [loved, edited, message(3, "`Senna` Push.")])
    assert cli("import-messages", "--session-id", "race", "--file", str(export)).code == 0
    return cli


def exported(cli: Cli, name: str, *options: str) -> bytes:
    """Export to a file and return its bytes."""
    outcome = cli("export", "--session-id", "race", "--output", name, *options)
    assert (outcome.code, outcome.stdout) == (0, ""), outcome
    assert f"3 messages of race written to {name}" in outcome.stderr
    return (cli.folder / name).read_bytes()


def test_parquet_keeps_every_type(cli: Cli) -> None:
    """Whole ids, times in UTC, numbers, booleans; columns in their order."""
    table = pq.read_table(io.BytesIO(exported(cli, "race.parquet")))
    assert table.schema.equals(EXPORT_SCHEMA)
    first, second, third = table.to_pylist()
    assert first["channel_id"] == CHANNEL_ID
    assert first["posted_at"] == START + timedelta(seconds=1)
    assert (first["driver_code"], first["driver_number"], first["driver_team"]) == ("LEC", 16, "Ferrari")
    assert (first["is_highlight_candidate"], first["highlight_score"]) == (True, 0.76)
    assert (second["raw_content"], second["driver"]) == (AWKWARD, None)
    assert (third["driver"], third["driver_code"], third["highlight_score"]) == ("Senna", None, None)


def test_nullable_ids_keep_their_digits_in_every_reader_of_parquet(cli: Cli) -> None:
    """Pandas makes floats of nullable integers, unless the file says otherwise."""
    reply = message(
        4, "`Senna` Copy.", reference={"messageId": str(2**60 + 1), "channelId": "1"}, type="Reply"
    )
    path = write_export(cli.folder / "reply.json", [reply])
    assert cli("import-messages", "--session-id", "race", "--file", str(path)).code == 0
    name = str(cli.folder / "race.parquet")
    assert cli("export", "--session-id", "race", "--output", name).code == 0
    expected = [None, None, None, 2**60 + 1]
    frame = pd.read_parquet(name)
    assert [None if pd.isna(each) else int(each) for each in frame["reference_id"]] == expected
    assert (str(frame["reference_id"].dtype), str(frame["driver_number"].dtype)) == ("Int64", "Int32")
    assert pl.read_parquet(name)["reference_id"].to_list() == expected
    found = duckdb.read_parquet(name).order("posted_at").project("reference_id").fetchall()
    assert [row[0] for row in found] == expected


def test_a_folder_of_days_is_brought_up_to_date(cli: Cli) -> None:
    """Only days with changes are written again; all readers see one table with the day of each row."""
    folder = cli.folder / "days"
    first = cli("export", "--incremental", str(folder))
    assert first.stderr.startswith("1 day with 3 messages written"), first
    later = START + timedelta(days=1, seconds=5)
    cli(
        "sessions",
        "add",
        "next",
        "--start",
        later.isoformat(),
        "--end",
        (later + timedelta(hours=1)).isoformat(),
    )
    window = write_export(cli.folder / "next.json", [message(86_410, "`Leclerc` Next day")])
    assert cli("import", str(window)).code == 0
    before = (folder / "messages" / f"day={START.date()}" / "messages.parquet").stat().st_mtime_ns
    second = cli("export", "--incremental", str(folder))
    assert second.stderr.startswith("1 day with 1 message written"), second
    assert (folder / "messages" / f"day={START.date()}" / "messages.parquet").stat().st_mtime_ns == before
    assert cli("export", "--incremental", str(folder)).stderr.startswith("0 days with 0 messages")
    days = [str(START.date())] * 3 + [str(later.date())]
    assert sorted(map(str, pd.read_parquet(folder / "messages")["day"])) == days
    assert sorted(pl.scan_parquet(folder / "messages").collect()["day"].cast(pl.String).to_list()) == days
    found = (
        duckdb.read_parquet(f"{folder}/messages/*/*.parquet", hive_partitioning=True).order("day").fetchall()
    )
    assert [str(row[-1]) for row in found] == days


def test_a_folder_of_days_keeps_its_filter(cli: Cli) -> None:
    """Another filter would leave days of the one before."""
    assert cli("export", "--incremental", "days", "--driver", "Leclerc").code == 0
    refused = cli("export", "--incremental", "days", "--driver", "Senna")
    assert refused.code == ExitCode.BAD_INPUT
    assert "name the same" in refused.stderr
    assert cli("export", "--incremental", "days", "--format", "csv").code == ExitCode.USAGE


def test_a_suffix_of_no_format_is_refused(cli: Cli) -> None:
    """Rather than written as CSV under a name that says otherwise."""
    refused = cli("export", "--session-id", "race", "--output", "race.xlsx")
    assert refused.code == ExitCode.USAGE
    assert ".parquet" in refused.stderr
    assert cli("export", "--session-id", "race", "--output", "race.txt", "--format", "csv").code == 0


def test_json_has_ids_as_strings_and_values_unpacked(cli: Cli) -> None:
    """One array, an object a line, in the order of the columns."""
    text = exported(cli, "race.json").decode()
    rows = json.loads(text)
    assert text.count("\n") == len(rows) + 2
    assert list(rows[0]) == EXPORT_SCHEMA.names
    assert rows[0]["channel_id"] == str(CHANNEL_ID)
    assert rows[0]["reactions"] == [{"emoji": "x", "count": 9}]
    assert isinstance(rows[0]["content_digest"], str)
    assert rows[0]["highlight_reasons"][0].startswith("keywords")
    assert rows[1]["edited_at"] == "2026-09-06T13:00:09.250000+00:00"
    assert (rows[1]["raw_content"], rows[1]["driver_name"]) == (AWKWARD, None)
    assert (rows[0]["session_id"], rows[0]["correlation_id"]) == ("race", rows[1]["correlation_id"])


def test_csv_has_a_header_and_quotes_what_needs_it(cli: Cli) -> None:
    """Times as ISO 8601 in UTC; what is unknown is empty."""
    rows = list(csv.DictReader(io.StringIO(exported(cli, "race.csv").decode(), newline="")))
    assert list(rows[0]) == EXPORT_SCHEMA.names
    assert rows[0]["posted_at"] == "2026-09-06T13:00:01.000000Z"
    assert rows[0]["channel_id"] == str(CHANNEL_ID)
    assert (rows[1]["raw_content"], rows[1]["driver"], rows[1]["edited_at"]) == (
        AWKWARD,
        "",
        "2026-09-06T13:00:09.250000Z",
    )


def test_csv_gives_a_spreadsheet_no_formula(cli: Cli) -> None:
    """Nobody's message runs on the reader's machine; the other formats keep it as it was written."""
    evil = ["=1+1", "+1", "-2 for Leclerc", "@SUM(A1)", "＝1+1", "'quoted", "a=1"]
    spoken = [
        message(30 + index, text, author={"id": "9", "name": "=cmd|' /C calc'!A0"})
        for index, text in enumerate(evil)
    ]
    cli.add_session("evil", channel_id="11")
    export = write_export(cli.folder / "evil.json", spoken, channel={"id": "11", "name": "open to all"})
    assert cli("import-messages", "--session-id", "evil", "--file", str(export)).code == 0
    for name in ("evil.csv", "evil.parquet"):
        assert cli("export", "--session-id", "evil", "--output", name).code == 0
    rows = list(csv.DictReader(io.StringIO((cli.folder / "evil.csv").read_bytes().decode(), newline="")))
    assert [row["raw_content"] for row in rows] == [f"'{text}" for text in evil[:5]] + evil[5:]
    assert {row["author_name"] for row in rows} == {"'=cmd|' /C calc'!A0"}
    assert pq.read_table(cli.folder / "evil.parquet")["raw_content"].to_pylist() == evil


class _Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_messages_as_they_are_and_needs_nothing_else(cli: Cli) -> None:
    """A message's tags are text; nothing is loaded from anywhere."""
    page = _Page()
    page.feed(exported(cli, "race.html").decode())
    assert AWKWARD in page.text
    assert "Gran Premio <d'Italia>" in page.text
    assert "Charles Leclerc" in page.text
    assert page.tags.count("tr") == 4
    assert not {"b", "script", "img", "link"} & set(page.tags)
    assert page.addresses == []


@pytest.mark.slow
def test_the_format_may_be_named_and_standard_output_takes_it(cli: Cli) -> None:
    """CSV unless something else is said; Parquet too, when it is redirected."""
    assert exported(cli, "race.txt", "--format", "json").startswith(b"[\n{")
    assert (
        json.loads(cli("export", "--session-id", "race", "--format", "json").stdout)[0]["driver"] == "Leclerc"
    )
    with cli.start("export", "--session-id", "race") as process:
        plain, _ = process.communicate(timeout=120)
    assert plain == exported(cli, "again")
    with cli.start("export", "--session-id", "race", "--format", "parquet") as process:
        binary, _ = process.communicate(timeout=120)
    assert pq.read_table(io.BytesIO(binary)).num_rows == 3


def test_a_session_without_messages_is_an_empty_file_of_its_kind(cli: Cli) -> None:
    """That any reader of the format takes."""
    cli.add_session("quiet", channel_id="11")
    for name in ("q.csv", "q.json", "q.parquet", "q.html"):
        assert cli("export", "--session-id", "quiet", "--output", name).code == 0
    assert json.loads((cli.folder / "q.json").read_bytes()) == []
    assert pq.read_table(cli.folder / "q.parquet").schema.equals(EXPORT_SCHEMA)
    assert (cli.folder / "q.csv").read_text().count("\n") == 1


def test_a_failing_export_leaves_the_file_as_it_was(cli: Cli) -> None:
    """And says why: no such session, or a place that cannot be written."""
    (cli.folder / "race.csv").write_text("before")
    assert cli("export", "--session-id", "rase", "--output", "race.csv").code == ExitCode.SESSION_NOT_FOUND
    assert (cli.folder / "race.csv").read_text() == "before"
    outcome = cli("export", "--session-id", "race", "--output", "race.csv/below.csv")
    assert outcome.code == ExitCode.BAD_INPUT
    assert "cannot be written" in outcome.stderr
    assert sorted(path.name for path in cli.folder.glob(".race*")) == []
    assert cli("export", "--session-id", "race", "--format", "xml").code == ExitCode.USAGE


def test_pages_join_without_a_seam(cli: Cli) -> None:
    """Whatever their size, also when messages share a moment."""
    same = [
        message(5, f"`Leclerc` {index}") | {"id": str(int(message(5)["id"]) + index)} for index in range(5)
    ]
    export = write_export(cli.folder / "more.json", same)
    assert cli("import-messages", "--session-id", "race", "--file", str(export)).code == 0
    services = build_services(Settings(_env_file=None, data_dir=cli.folder / "data"))
    with services.database.read() as connection:
        whole = pa.concat_tables(message_pages(connection, MessageFilter("race")))
        for rows in (1, 2, 3, 8):
            pages = list(message_pages(connection, MessageFilter("race"), rows))
            assert pa.concat_tables(pages) == whole
            assert max(page.num_rows for page in pages) == rows
    assert whole.num_rows == 8


def test_a_pipe_is_written_into_and_stays_one(cli: Cli) -> None:
    """What is no file is never replaced by one."""
    pipe = cli.folder / "pipe.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli("export", "--session-id", "race", "--output", pipe.name).code == 0
        assert pipe.is_fifo()
        assert os.read(reader, 1 << 20).count(b"\n") > 3
    finally:
        os.close(reader)
