"""Schedules by command: calendars, seasons, subscriptions and trading days."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline_tests.cli_runs import Cli

CALENDARS = Path(__file__).parents[2] / "fixtures" / "calendars"
SEASON = '{"races": [{"name": "A", "slug": "a", "sessions": {"gp": "2026-09-06T13:00:00Z"}}]}'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in an empty folder, with a default channel."""
    return Cli(tmp_path, {"INGEST_DEFAULT_CHANNEL_ID": "1101802452224856174"})


def test_a_calendar_is_imported_and_what_it_leaves_out_is_named(cli: Cli) -> None:
    """The good event comes in, the other is reported with its option, which takes it."""
    file = str(CALENDARS / "no_end_among_others.ics")
    outcome = cli("sessions", "import", file)
    assert (outcome.code, outcome.stdout) == (
        0,
        "1 session: created 1, updated 0, cancelled 0, unchanged 0, older 0, left out 1\n",
    )
    assert (
        "left out: line 12, 'Race': the event has neither DTEND nor DURATION: --default-length 2h"
        in outcome.stderr
    )
    again = cli("sessions", "import", file, "--default-length", "2h", "--json").json
    assert (again["created"], again["unchanged"], again["left_out"]) == (1, 1, [])


def test_a_dry_run_lists_the_changes_and_the_next_import_makes_them(cli: Cli) -> None:
    """A moved race has its times before and after, a cancelled one its reason and its new state."""
    cli("sessions", "import", str(CALENDARS / "confirmed.ics"))
    dry = cli("sessions", "import", str(CALENDARS / "cancelled.ics"), "--dry-run")
    assert dry.stdout.splitlines()[:2] == [
        (
            "updated   r6-x (Race 6): start_time: 2026-12-10 13:00 UTC → 2026-12-10 14:00 UTC; "
            "end_time: 2026-12-10 15:00 UTC → 2026-12-10 16:00 UTC"
        ),
        "cancelled r5-x (Race 5): the schedule cancels it",
    ]
    counts = "2 sessions: created 0, updated 1, cancelled 1, unchanged 0, older 0, left out 0"
    assert dry.stdout.splitlines()[2] == f"{counts}; nothing was changed (--dry-run)"
    done = cli("sessions", "import", str(CALENDARS / "cancelled.ics"), "--json").json
    assert [change["kind"] for change in done["changes"]] == ["updated", "cancelled"]
    assert done["changes"][0]["fields"]["start_time"] == [
        "2026-12-10T13:00:00+00:00",
        "2026-12-10T14:00:00+00:00",
    ]
    shown = cli("sessions", "show", "r5-x", "--json").json
    assert (shown["state"], shown["is_cancelled"]) == ("cancelled", True)
    older = cli("sessions", "import", str(CALENDARS / "confirmed.ics"))
    assert "is older than what was imported before, and changed nothing of r5-x, r6-x" in older.stderr


def test_options_of_calendars_are_refused_for_other_files(cli: Cli, tmp_path: Path) -> None:
    """Nothing is ignored in silence."""
    (tmp_path / "a.csv").write_text("id,start,end\n", encoding="utf-8")
    outcome = cli("sessions", "import", "a.csv", "--tentative")
    assert outcome.code == ExitCode.BAD_INPUT
    assert "--tentative is for calendars" in outcome.stderr


def test_subscribed_schedules_are_read_though_one_cannot_be(cli: Cli, tmp_path: Path) -> None:
    """The others come in, the failure is named and decides the exit code."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "season.json").write_text(SEASON, encoding="utf-8")
    (data / "settings.yaml").write_text(
        "schedules:\n  gone: {url: 'file:gone.ics'}\n  season: {url: 'file:season.json'}\n", encoding="utf-8"
    )
    outcome = cli("sessions", "sync", "--json")
    assert outcome.code == ExitCode.BAD_INPUT
    failed, season = outcome.json["schedules"]
    assert "gone.ics cannot be read" in failed["error"]
    assert season["session_ids"] == ["2026-a-gp"]
    assert cli("sessions", "sync", "season").stdout.splitlines() == [
        "season:",
        "1 session: created 0, updated 0, cancelled 0, unchanged 1, older 0, left out 0",
    ]
    unknown = cli("sessions", "sync", "saison")
    assert "no schedule is called 'saison': data/settings.yaml has gone, season" in unknown.stderr


def test_trading_days_are_added_by_command(cli: Cli) -> None:
    """A half day is one, and the holiday before it is named."""
    outcome = cli("sessions", "trading", "XNYS", "--from", "2026-11-26", "--to", "2026-11-27", "--json")
    assert outcome.json["session_ids"] == ["XNYS-2026-11-27"]
    assert outcome.json["left_out"] == [
        {"where": "2026-11-26", "name": "Thanksgiving", "reason": "the market is closed"}
    ]
    moments = ("--from", "2026-11-26T00:00:00Z", "--to", "2026-11-28T00:00:00Z")
    assert cli("sessions", "trading", "XNYS", *moments, "--json").json["unchanged"] == 1
    assert cli("sessions", "show", "XNYS-2026-11-27", "--json").json["session_type"] == "Half day"


def test_a_trading_day_is_no_long_session(cli: Cli) -> None:
    """Hours of an exchange are no reason for a warning, 23 hours are one; a single day is a range."""
    day = ("--from", "2026-12-01", "--to", "2026-12-01", "--dry-run")
    london = cli("sessions", "trading", "XLON", *day)
    assert (london.code, london.stderr) == (0, "")
    assert "XLON-2026-12-01 (XLON 2026-12-01): 2026-12-01 08:00 to 2026-12-01 16:30 UTC" in london.stdout
    assert "longer than INGEST_SESSION_MAX_HOURS (6)" in cli("sessions", "trading", "CMES", *day).stderr


def test_days_without_trading_are_named_as_they_were_written(cli: Cli) -> None:
    """Both days stand in the message, in words of this command."""
    outcome = cli("sessions", "trading", "XNYS", "--from", "2026-12-25", "--to", "2026-12-27")
    assert outcome.code == ExitCode.BAD_INPUT
    assert "XNYS has no trading day from 2026-12-25 to 2026-12-27: give another time range" in outcome.stderr
    reversed_days = cli("sessions", "trading", "XNYS", "--from", "2026-12-21", "--to", "2026-12-01")
    assert "--to 2026-12-01 is before --from 2026-12-21" in reversed_days.stderr
    unreadable = cli("sessions", "trading", "XNYS", "--from", "tomorrow", "--to", "2026-12-27")
    assert "--from 'tomorrow' is not a day: write it such as 2026-12-01" in unreadable.stderr


def test_a_scheduled_event_keeps_its_own_channel_unless_one_is_given(cli: Cli, tmp_path: Path) -> None:
    """The default channel is for events elsewhere."""
    event = {
        "id": "1101802452224857000",
        "channel_id": "1101802452224856175",
        "name": "Watch along",
        "scheduled_start_time": "2026-12-06T13:00:00+00:00",
        "scheduled_end_time": "2026-12-06T15:00:00+00:00",
        "status": 1,
    }
    file = tmp_path / "events.json"
    file.write_text(json.dumps([event, event | {"id": "1101802452224857001", "channel_id": None}]))
    command = ("sessions", "import", str(file), "--dry-run", "--json")
    channels = [each["fields"]["channel_ids"][1] for each in cli(*command).json["changes"]]
    assert channels == [["1101802452224856175"], ["1101802452224856174"]]
    given = cli(*command, "--channel-id", "1101802452224856999").json["changes"]
    assert [each["fields"]["channel_ids"][1] for each in given] == [["1101802452224856999"]] * 2
