"""The commands that look: as of a time, events, journeys, short names, and tables on a narrow terminal."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest_pipeline.cli.output import print_rows
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline_tests.api_worlds import RUN_ID, fill, settings_for
from ingest_pipeline_tests.cli_runs import Cli

POSTED = "2026-09-06T13:00:09.250123Z"
ID = "1546143011962880001"
JOURNEY = "20260906T130000123456-1f3a9c07"


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        """Be one."""
        return True


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command on a filled database."""
    found = Cli(tmp_path)
    services = build_services(settings_for(tmp_path / "data"))
    fill(services)
    services.database.close()
    return found


def printed(monkeypatch: pytest.MonkeyPatch, columns: list[str], rows: list[list[object]]) -> str:
    """Return rows as a terminal of 80 columns shows them."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_rows(columns, rows)
    shown = terminal.getvalue()
    assert all(len(line) <= 80 for line in shown.splitlines())
    return shown


def test_ids_and_times_are_never_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is, beside them."""
    at = datetime(2026, 9, 6, 13, 0, 9, 250123, tzinfo=UTC)
    shown = printed(
        monkeypatch, ["posted", "id", "text"], [[at, int(ID), "word " * 60], [None, int(ID), "x" * 90]]
    )
    assert (shown.count(POSTED), shown.count(ID), shown.count("word")) == (1, 2, 60)
    assert shown.count("x") == 91  # and that of the heading


def test_rows_that_do_not_fit_are_printed_as_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every id and time whole, and nothing of the text lost; empty cells are left out."""
    columns = ["at", "correlation_id", "message", "text", "note"]
    shown = printed(monkeypatch, columns, [[POSTED, JOURNEY, ID, "word " * 60, None]] * 2)
    assert [shown.count(each) for each in (POSTED, JOURNEY, ID, "word", "note")] == [2, 2, 2, 120, 0]


def test_messages_are_shown_as_they_stood(cli: Cli) -> None:
    """Before they were read there were none."""
    before = cli("messages", "--session-id", "race", "--as-of", "2026-09-06T13:06:59Z", "--json")
    after = cli("messages", "--session-id", "race", "--as-of", "2026-09-06T13:07:00Z", "--json")
    assert (before.json["count"], after.json["count"]) == (0, 6)
    assert cli("messages", "--limit", "1", "--as-of", "yesterday").code == 5


def test_events_and_journeys_are_listed(cli: Cli) -> None:
    """Oldest first; unknown subjects and states are refused."""
    events = cli("events", "--channel", "ingestion:batch", "--json").json["events"]
    assert [each["event_type"] for each in events] == ["ingestion.started", "ingestion.completed"]
    assert len(cli("events", "--limit", "1", "--json").json["events"]) == 1
    assert "ingestion.completed" in cli("events", "--type", "ingestion.completed").stdout
    [journey] = cli("journeys", "--status", "completed", "--json").json["journeys"]
    assert (journey["correlation_id"], journey["created"]) == (RUN_ID, 6)
    assert RUN_ID in cli("journeys").stdout
    assert cli("journeys", "--status", "failed", "--json").json["journeys"] == []
    assert cli("journeys", "--status", "lost").code == 5
    assert cli("events", "--channel", "lost").code == 5


def test_kinds_answer_to_their_short_names_and_have_formats(cli: Cli) -> None:
    """Radio is team radio; what it is not is refused."""
    radio = cli("radio", "--limit", "9", "--json").json
    assert radio == cli("team-radio", "--limit", "9", "--json").json
    assert cli("setups", "--limit", "9", "--json").json["count"] == 0
    assert cli("radio", "--limit", "9", "--format", "json").stdout.startswith("[")
    assert cli("radio", "--limit", "9", "--format", "html").code == 2
    assert cli("team", "--limit", "9").code == 2
