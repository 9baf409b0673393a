"""The command line: what is refused before anything is done, streams, and the way errors end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline_tests.cli_runs import PROJECT, Cli

TOKEN = "invented-token-value-that-must-stay-secret"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in an empty folder."""
    return Cli(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["backfill"], "Missing option '--session-id'"),
        (["import-mesages"], "Did you mean 'import-messages'"),
        (["backfill", "--session-id", "race", "--frob"], "No such option"),
        (["messages", "--session-id", "race", "--limit", "0"], "Invalid value for '--limit'"),
        (["messages", "--session-id", "race", "--limit", "many"], "Invalid value for '--limit'"),
        (["poll-recent-messages", "--window-seconds", "-5"], "Invalid value for '--window-seconds'"),
        (["sessions", "add", "race"], "Missing option '--start'"),
        (["gaps", "--author", "7"], "nobody knows whose messages are missing: narrow by channel"),
        (["reread", "--author", "7"], "is merged whole, whoever wrote it: narrow by session"),
        (["sessions", "frob"], "No such command 'frob'"),
    ],
)
def test_wrong_usage_ends_with_two_and_the_usage(cli: Cli, arguments: list[str], reason: str) -> None:
    """Typer's own errors go to standard error."""
    outcome = cli(*arguments)
    assert (outcome.code, outcome.stdout) == (ExitCode.USAGE, "")
    assert reason in outcome.stderr
    assert outcome.stderr.startswith("Usage: ingest")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_file_that_the_system_refuses_is_named(cli: Cli, command: str) -> None:
    """It is an error of the argument, with the system's reason."""
    outcome = cli("database", command, "x" * 300)
    assert outcome.code == ExitCode.BAD_INPUT
    assert f"error: {'x' * 300} cannot be used (File name too long): name another file" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--start", "2026-09-06T13:00:00"], "--start 2026-09-06T13:00:00 has no time zone: write it with Z"),
        (["--end", "2026-09-06 13:00:30.5"], "--end 2026-09-06T13:00:30.500000 has no time zone"),
        (
            ["--start", "2026-09-06"],
            "is a date without a time: write it in full, such as 2026-09-06T00:00:00Z",
        ),
        (["--start", "noon"], "--start 'noon' is not a time: write ISO 8601 with an offset"),
        (
            ["--start", "2026-09-06T13:00:00Z", "--end", "2026-09-06T13:00:00Z"],
            "give an end later than the start",
        ),
        (["--start", "2026-09-06T13:00:01Z", "--end", "2026-09-06T15:00:00+02:00"], "give an end later"),
        (["--channel-id", "general"], "channel id 'general' is not a Discord id: write its digits"),
    ],
)
def test_a_wrong_time_or_channel_ends_with_five_and_the_remedy(
    cli: Cli, arguments: list[str], reason: str
) -> None:
    """Bounds and channel are checked before the session is looked for."""
    outcome = cli("import-messages", "--session-id", "race", *arguments)
    assert (outcome.code, outcome.stdout) == (ExitCode.BAD_INPUT, "")
    assert outcome.stderr.startswith("error: ")
    assert reason in outcome.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("INGEST_BATCH_ROWS", "many"), ("POLL_INTERVAL_SECONDS", "0"), ("INGEST_LOG_LEVEL", "loud")],
)
def test_a_wrong_setting_ends_with_three_and_its_name(cli: Cli, name: str, value: str) -> None:
    """The message names the variable."""
    cli.environment[name] = value
    outcome = cli("sessions", "list")
    assert outcome.code == ExitCode.CONFIGURATION
    assert outcome.stderr.startswith("error: ")
    assert name in outcome.stderr


def test_settings_are_read_from_env_below_the_environment(cli: Cli) -> None:
    """A line of .env counts where the environment says nothing."""
    (cli.folder / ".env").write_text("INGEST_LOG_LEVEL=loud\n", encoding="utf-8")
    assert "'loud'" in cli("sessions", "list").stderr
    cli.environment["INGEST_LOG_LEVEL"] = "louder"
    assert "'louder'" in cli("sessions", "list").stderr


def test_an_unexpected_error_is_one_line_without_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback comes only when asked for, and the token never."""

    def fail(*_: object) -> None:
        raise RuntimeError(f"rejected {TOKEN}")

    monkeypatch.setattr("ingest_pipeline.ingestion.services.build_services", fail)
    cli.environment["DISCORD_OAUTH_TOKEN"] = TOKEN
    outcome = cli("sessions", "list")
    assert outcome.code == ExitCode.UNEXPECTED
    assert "RuntimeError: rejected ***" in outcome.stderr
    assert "--verbose" in outcome.stderr
    verbose = cli("--verbose", "sessions", "list")
    assert "Traceback" in verbose.stderr
    assert TOKEN not in verbose.stderr


def test_the_version_and_help_are_data(cli: Cli) -> None:
    """Both are what was asked for, so they go to standard output with exit code 0."""
    for arguments in (["--version"], ["--help"], ["sessions", "--help"], ["sessions", "add", "--help"]):
        outcome = cli(*arguments)
        assert (outcome.code, outcome.stderr) == (0, "")
        assert "ingest" in outcome.stdout


def test_help_loads_no_engine() -> None:
    """Asking for help must not wait for libraries that only work needs."""
    heavy = ("duckdb", "pandas", "pyarrow", "psycopg", "icalendar", "dagster", "rich", "pydantic_settings")
    code = f"import sys, ingest_pipeline.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_a_process_ends_with_the_same_codes(cli: Cli) -> None:
    """What `python -m` runs maps errors as the tests in one process see it."""
    outcome = cli.process("import-messages", "--session-id", "race", "--start", "noon")
    assert (outcome.code, outcome.stdout) == (ExitCode.BAD_INPUT, "")
    assert outcome.stderr.startswith("error: --start 'noon'")


def test_a_reader_that_goes_away_gets_no_complaint(cli: Cli) -> None:
    """`ingest … | head` prints neither a traceback nor an ignored exception."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with cli.start("--help", stdout=writing) as process:
            _, stderr = process.communicate(timeout=120)
    finally:
        os.close(writing)
    assert process.returncode == ExitCode.UNEXPECTED
    assert stderr == b""


def test_an_interrupt_ends_with_130(cli: Cli) -> None:
    """Ctrl-C in the middle of an exporter run ends the command, quietly."""
    began = cli.folder / "began"
    exporter = cli.folder / "exporter"
    exporter.write_text(f"#!/bin/sh\ntouch {began}\nexec sleep 30\n", encoding="utf-8")
    exporter.chmod(0o755)
    cli.environment["INGEST_EXPORTER_PATH"] = str(exporter)
    cli.environment["DISCORD_OAUTH_TOKEN"] = TOKEN
    cli.add_session()
    with cli.start("import-messages", "--session-id", "race") as process:
        while not began.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert stdout == b""
    assert b"Traceback" not in stderr


def test_logs_are_json_lines_on_standard_error_with_json(cli: Cli) -> None:
    """A machine that reads the object can read the log as well."""
    cli.environment["INGEST_SESSION_MAX_HOURS"] = "1"
    outcome = cli(
        "sessions",
        "add",
        "race",
        "--start",
        "2026-09-06T13:00:00Z",
        "--end",
        "2026-09-06T15:00:00Z",
        "--json",
    )
    assert outcome.json["result"] == "created"
    entries = [json.loads(line) for line in outcome.stderr.splitlines()]
    [warning] = [entry for entry in entries if entry["level"] == "WARNING"]
    assert "longer than INGEST_SESSION_MAX_HOURS (1)" in warning["message"]
    assert "; 2 would cut it too" in warning["message"]
    assert set(warning) == {"time", "level", "logger", "message"}
