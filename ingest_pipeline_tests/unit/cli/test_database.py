"""Commands on the database itself."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import message, write_export


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in an empty folder."""
    return Cli(tmp_path)


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """The command with a session of three messages."""
    cli.add_session()
    export = write_export(cli.folder / "export.json", [message(second) for second in (10, 20, 30)])
    assert cli("import-messages", "--session-id", "race", "--file", str(export)).code == 0
    return cli


def test_status_makes_no_database(cli: Cli) -> None:
    """Looking changes nothing, and what is missing is reported."""
    status = cli("database", "status", "--json").json
    assert (status["engine"], status["schema_version"], status["rows"]) == ("duckdb", 0, {})
    assert status["pending"]
    assert not (cli.folder / "data" / "ingest.duckdb").exists()


def test_migrating_twice_applies_nothing_the_second_time(cli: Cli) -> None:
    """The first run names what it applied."""
    assert cli("database", "migrate").stdout.startswith("applied ")
    assert cli("database", "migrate", "--json").json == {"applied": []}
    again = cli("database", "migrate")
    assert again.code == ExitCode.OK
    assert not again.stdout.startswith("applied")


def test_status_counts_rows(filled: Cli) -> None:
    """In JSON and as lines."""
    assert filled("database", "status", "--json").json["rows"]["messages"] == 3
    lines = filled("database", "status").stdout.splitlines()
    assert lines[0].startswith("duckdb ")
    assert "to apply: nothing" in lines[1]
    assert "messages\t3" in lines


@pytest.mark.slow
def test_a_copy_is_the_database_in_another_file(filled: Cli) -> None:
    """Paths and URLs name files alike; the copy serves as the data's home."""
    source = filled.folder / "data" / "ingest.duckdb"
    target = filled.folder / "other" / "ingest.duckdb"
    target.parent.mkdir()
    report = filled("database", "copy", "--from", str(source), "--to", f"duckdb://{target}", "--json").json
    assert {table["name"]: table["rows"] for table in report["tables"]}["messages"] == 3
    filled.environment["INGEST_DATA_DIR"] = str(target.parent)
    assert filled("messages", "--session-id", "race", "--json").json["count"] == 3


@pytest.mark.slow
def test_a_copy_into_a_database_with_rows_is_refused(filled: Cli) -> None:
    """Neither another database nor the same one is overwritten."""
    path = "data/ingest.duckdb"
    assert "the same database" in filled("database", "copy", "--from", path, "--to", path).stderr
    assert filled("database", "copy", "--from", path, "--to", "copy.duckdb").code == 0
    refused = filled("database", "copy", "--from", path, "--to", "copy.duckdb")
    assert refused.code == ExitCode.CONFIGURATION
    assert "copy into an empty database" in refused.stderr


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("none.duckdb", "--from none.duckdb does not exist: check the path"),
        ("mysql://u:geheim@localhost/x", "unknown scheme 'mysql': write postgresql://user@host/database"),
        ("postgresql://[u:geheim@localhost/x", "is not a URL"),
    ],
)
def test_what_cannot_be_copied_is_refused_without_its_password(cli: Cli, source: str, text: str) -> None:
    """Of a wrong URL only the kind is named."""
    outcome = cli("database", "copy", "--from", source, "--to", "copy.duckdb")
    assert outcome.code == ExitCode.CONFIGURATION
    assert text in outcome.stderr
    assert "geheim" not in outcome.stderr


def test_a_server_that_is_not_there_is_named_at_once_without_a_password(filled: Cli) -> None:
    """By its option, whatever the setting says about waiting for the deployment's own."""
    filled.environment["INGEST_DATABASE_WAIT_SECONDS"] = "600"
    url, file = "postgresql://u:geheim%40@127.0.0.1:1/x", "data/ingest.duckdb"
    for option, source, target in (("--to", file, url), ("--from", url, "copy.duckdb")):
        outcome = filled("--verbose", "database", "copy", "--from", source, "--to", target)
        assert outcome.code == ExitCode.DATABASE
        assert f"check that the server runs and that {option} names it" in outcome.stderr
        assert "geheim" not in outcome.stderr
    assert not (filled.folder / "copy.duckdb").exists()


@pytest.mark.slow
def test_a_users_own_table_is_left_out_with_a_note(filled: Cli) -> None:
    """Its name is reported on both ways of output; what is ours is copied."""
    file = filled.folder / "data" / "ingest.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER)")
        connection.execute("CREATE VIEW busy AS SELECT * FROM messages")
    outcome = filled("database", "copy", "--from", str(file), "--to", "copy.duckdb")
    assert outcome.code == ExitCode.OK
    assert "left out" in outcome.stderr
    assert outcome.stderr.splitlines()[0].endswith(": notes")
    report = filled("database", "copy", "--from", str(file), "--to", "again.duckdb", "--json").json
    assert report["left_out"] == ["notes"]
    assert "notes" not in {table["name"] for table in report["tables"]}
    assert "notes" not in filled("database", "status", "--json").json["rows"]
