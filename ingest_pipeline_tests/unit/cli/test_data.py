"""The command line on real data: sessions, imports, polls, backfills and what is shown of them."""

from __future__ import annotations

import json
import os
import pty
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.errors import DatabaseBusy, ExitCode
from ingest_pipeline.ingestion import imports
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, message, write_export


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in an empty folder."""
    return Cli(tmp_path)


@pytest.fixture
def export(cli: Cli) -> Path:
    """Three radio messages, a text without a driver, one with media only and one past the session."""
    messages = [
        message(10),
        message(20, ":studio_microphone: `Norris` Copy."),
        message(30, ":studio_microphone: `Leclerc` Understood. 👍"),
        message(40, "[red]plain[/red]\ttext\nof two lines"),
        message(50, "", stickers=[{"id": "5", "name": "flag"}]),
        message(timedelta(hours=5)),
    ]
    return write_export(cli.folder / "export.json", messages)


def write_world(cli: Cli, **content: object) -> None:
    """Install the fake exporter with a world of two messages, one of them posted just now."""
    now = datetime.now(UTC)
    messages = [
        {"id": str(first_id_at(posted_at)), "content": f":studio_microphone: `Leclerc` {name}"}
        for name, posted_at in (("early", now - timedelta(minutes=20)), ("late", now - timedelta(seconds=5)))
    ]
    world = {
        "version": "2.47",
        "guild": {"id": "1", "name": "Demo", "iconUrl": ""},
        "channels": [{"id": str(CHANNEL_ID), "name": "team-radio", "messages": messages}],
        **content,
    }
    path = cli.folder / "world.json"
    path.write_text(json.dumps(world), encoding="utf-8")
    cli.environment["INGEST_EXPORTER_PATH"] = str(install_stand_in(cli.folder, path))
    cli.environment["DISCORD_OAUTH_TOKEN"] = "x" * 24 + "." + "y" * 6 + "." + "z" * 38


def add_live_session(cli: Cli) -> None:
    """Add a session that began half an hour ago."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
    cli.add_session("live", start=start.isoformat(), end=(start + timedelta(hours=1)).isoformat())


def test_an_import_prints_one_object_that_accounts_for_every_message(cli: Cli, export: Path) -> None:
    """With --json standard output is the report and nothing else; logs go elsewhere."""
    cli.add_session()
    report = cli("import-messages", "--session-id", "race", "--file", str(export), "--json").json
    assert (report["received"], report["created"]) == (6, 4)
    assert report["skipped"] == {"media_only": 1, "outside_window": 1}
    assert (report["session_id"], report["start"]) == ("race", "2026-09-06T13:00:00+00:00")
    assert {"updated", "unchanged", "stale", "end", "correlation_id", "seconds"} <= set(report)


def test_importing_again_creates_and_updates_nothing(cli: Cli, export: Path) -> None:
    """The second import finds every message as it was; in text, too, the counts are there."""
    cli.add_session()
    cli("import-messages", "--session-id", "race", "--file", str(export))
    again = cli("import-messages", "--session-id", "race", "--file", str(export))
    assert again.code == 0
    for count in ("received 6", "created 0", "updated 0", "unchanged 4", "stale 0", "skipped 2"):
        assert count in again.stdout
    assert "skipped as media_only: 1" in again.stdout


@pytest.mark.parametrize("order", [("dated", "undated"), ("undated", "dated")])
def test_an_export_that_does_not_state_when_it_was_read_never_wins(cli: Cli, order: tuple[str, ...]) -> None:
    """Whatever the time of the file, which copying changes, and whichever is imported first."""
    cli.add_session()
    same = message(20, "`Leclerc` same")
    files = {
        "dated": write_export(cli.folder / "dated.json", [message(10, "`Leclerc` right"), same]),
        "undated": write_export(
            cli.folder / "undated.json", [message(10, "`Leclerc` hi"), same], exportedAt=None
        ),
    }
    os.utime(files["dated"], (1, 1))
    journeys = {
        name: cli("import-messages", "--session-id", "race", "--file", str(files[name]), "--json").json
        for name in order
    }
    listed = cli("messages", "--session-id", "race", "--json").json["messages"]
    assert [each["raw_content"] for each in listed] == ["`Leclerc` right", "`Leclerc` same"]
    assert {each["correlation_id"] for each in listed} == {journeys["dated"]["correlation_id"]}
    assert journeys["undated"]["stale"] == (1 if order[0] == "dated" else 0)


def test_bounds_to_the_second_are_kept(cli: Cli, export: Path) -> None:
    """Start is included, end is not."""
    cli.add_session()
    bounds = ("--start", "2026-09-06T13:00:20Z", "--end", "2026-09-06T15:00:30+02:00")
    report = cli("import-messages", "--session-id", "race", "--file", str(export), *bounds, "--json").json
    assert (report["created"], report["skipped"]) == (1, {"outside_window": 5})


def test_the_file_s_channel_is_used_and_never_contradicted(cli: Cli, export: Path) -> None:
    """A session of another channel takes the file; a contradicting option is refused."""
    cli.add_session(channel_id="11")
    wrong = cli("import-messages", "--session-id", "race", "--file", str(export), "--channel-id", "11")
    assert wrong.code == ExitCode.BAD_INPUT
    assert "leave --channel-id out" in wrong.stderr
    assert cli("import-messages", "--session-id", "race", "--file", str(export)).code == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"hello", b"\xff\xfe", b'{"messages": [{"id": "1"'])
def test_a_malformed_export_ends_with_five_and_leaves_the_table(cli: Cli, content: bytes) -> None:
    """Damage is reported on standard error; nothing is printed as data or stored."""
    cli.add_session()
    path = cli.folder / "broken.json"
    path.write_bytes(content)
    outcome = cli("import-messages", "--session-id", "race", "--file", str(path), "--json")
    assert (outcome.code, outcome.stdout) == (ExitCode.BAD_INPUT, "")
    assert str(path) in outcome.stderr
    assert cli("messages", "--session-id", "race", "--json").json["count"] == 0


@pytest.mark.parametrize("command", ["import-messages", "backfill", "messages"])
def test_an_unknown_session_ends_with_four_and_names_the_nearest(cli: Cli, command: str) -> None:
    """A typing error is answered with the id that was meant."""
    cli.add_session("2026-monza-race")
    outcome = cli(command, "--session-id", "2026-monza-rice")
    assert (outcome.code, outcome.stdout) == (ExitCode.SESSION_NOT_FOUND, "")
    assert "2026-monza-race" in outcome.stderr


def test_without_an_exporter_an_import_ends_with_eight(cli: Cli) -> None:
    """The path that was tried and the way to get it are named."""
    cli.add_session()
    cli.environment["DISCORD_OAUTH_TOKEN"] = "invented"
    outcome = cli("import-messages", "--session-id", "race")
    assert outcome.code == ExitCode.EXPORTER_UNAVAILABLE
    assert "no-exporter" in outcome.stderr


@pytest.mark.parametrize(
    ("fault", "code"), [("forbidden", ExitCode.DISCORD), ("bad-token", ExitCode.DISCORD)]
)
def test_a_refused_export_ends_with_six(cli: Cli, fault: str, code: int) -> None:
    """What Discord refuses is the exporter's failure, without a word on the token's value."""
    write_world(cli, fault=fault)
    add_live_session(cli)
    outcome = cli("import-messages", "--session-id", "live", "--json")
    assert (outcome.code, outcome.stdout) == (code, "")
    assert cli.environment["DISCORD_OAUTH_TOKEN"] not in outcome.stderr


def test_messages_are_shown_as_lines_and_as_json(cli: Cli, export: Path) -> None:
    """Ids are strings in JSON, times have their offset, JSON columns are what they hold."""
    cli.add_session()
    cli("import-messages", "--session-id", "race", "--file", str(export))
    shown = cli("messages", "--session-id", "race", "--json").json
    first = shown["messages"][0]
    assert (shown["session_id"], shown["count"]) == ("race", 4)
    assert first["discord_id"] == message(10)["id"]
    assert (first["channel_id"], first["driver"]) == (str(CHANNEL_ID), "Leclerc")
    assert first["posted_at"] == "2026-09-06T13:00:10+00:00"
    assert (first["attachments"], first["reference_id"]) == ([], None)
    lines = cli("messages", "--session-id", "race").stdout.splitlines()
    assert lines[0].split("\t") == ["posted", "id", "driver", "author", "text"]
    assert lines[4].split("\t")[4] == "[red]plain[/red] text of two lines"


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_setups_with_prices_and_days_are_shown_as_json_and_written(cli: Cli, suffix: str) -> None:
    """A price keeps its digits, a day is ISO 8601; a file has the same rows."""
    text = "**Setups for 2026-09-06**\nAMD\nBreakout Above 103.60 (104.80, 106.20)"
    cli("import", str(write_export(cli.folder / "export.json", [message(10, text)])))
    shown = cli("trade-setups", "--channel", str(CHANNEL_ID), "--json").json
    (setup,) = shown["trade_setups"]
    assert (setup["ticker"], setup["trigger_price"], setup["trading_day"]) == (
        *("AMD", "103.60000000", "2026-09-06"),
    )
    outcome = cli("trade-setups", "--channel", str(CHANNEL_ID), "--output", f"setups.{suffix}")
    assert outcome.code == 0, outcome
    written = (cli.folder / f"setups.{suffix}").read_bytes()
    assert b"AMD" in written


def test_messages_can_be_limited_to_a_driver_and_to_the_newest(cli: Cli, export: Path) -> None:
    """Both filters together, oldest first."""
    cli.add_session()
    cli("import-messages", "--session-id", "race", "--file", str(export))
    of_driver = cli("messages", "--session-id", "race", "--driver", "Leclerc", "--json").json["messages"]
    assert [row["message_text"] for row in of_driver] == ["Box, box.", "Understood. 👍"]
    newest = cli("messages", "--session-id", "race", "--limit", "2", "--json").json["messages"]
    assert [row["driver"] for row in newest] == ["Leclerc", None]


def test_messages_without_a_session_are_found_by_channel_author_and_time(cli: Cli, export: Path) -> None:
    """A command without any filter is refused with the options; filters narrow each other."""
    cli("import", str(export))
    refused = cli("messages")
    assert refused.code == ExitCode.USAGE
    assert "--channel" in refused.stderr
    ways: dict[tuple[str, ...], int] = {
        ("--channel", str(CHANNEL_ID)): 5,
        ("--guild", str(GUILD_ID), "--since", "2026-09-06T13:00:20Z"): 4,
        ("--author", "594020924865620473", "--until", "2026-09-06T13:00:20Z"): 1,
        ("--channel", "11"): 0,
        ("--limit", "2"): 2,
    }
    for options, count in ways.items():
        assert cli("messages", *options, "--json").json["count"] == count
    rows = json.loads(
        cli("export", "--channel", str(CHANNEL_ID), "--driver", "norris", "--format", "json").stdout
    )
    assert [row["driver"] for row in rows] == ["Norris"]
    page = cli("export", "--guild", str(GUILD_ID), "--format", "html").stdout
    assert f"Messages of guild {GUILD_ID}" in page


def test_clips_are_listed_without_a_session(cli: Cli) -> None:
    """With what is known of their files; one that cannot be had is a problem and not an error."""
    video = {"id": "5", "url": "https://example.invalid/lap.mp4", "fileName": "lap.mp4", "fileSizeBytes": 7}
    path = write_export(cli.folder / "clips.json", [message(10, "look", attachments=[video])])
    cli("import", str(path))
    listed = cli("clip-files", "--channel", str(CHANNEL_ID), "--json").json
    assert (listed["count"], listed["clips"][0]["file_name"], listed["clips"][0]["sha256"]) == (
        1,
        "lap.mp4",
        None,
    )
    author = cli("messages", "--channel", str(CHANNEL_ID), "--json").json["messages"][0]["author_id"]
    for option, value in (("--channel", CHANNEL_ID), ("--guild", GUILD_ID), ("--author", author)):
        assert cli("clips", option, str(value), "--json").json["count"] == 1
        assert cli("clips", option, "1", "--json").json["count"] == 0
    assert cli("clips").code == ExitCode.USAGE
    fetched = cli("clip-files", "--channel", str(CHANNEL_ID), "--fetch", "--json")
    assert fetched.code == ExitCode.INCOMPLETE
    assert "example.invalid" in fetched.json["clips"][0]["problem"]


def test_a_channel_is_imported_without_a_session(cli: Cli) -> None:
    """Between two times; what is missing of these is asked back."""
    write_world(cli)
    start = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    end = datetime.now(UTC).isoformat()
    refused = cli("import-messages", "--channel-id", str(CHANNEL_ID), "--start", start)
    assert (refused.code, "--end" in refused.stderr) == (ExitCode.BAD_INPUT, True)
    done = cli(
        "import-messages", "--channel-id", str(CHANNEL_ID), "--start", start, "--end", end, "--json"
    ).json
    assert (done["session_id"], done["created"]) == (None, 2)


def test_a_poll_without_a_live_session_names_the_next_one(cli: Cli) -> None:
    """Nothing to do is no failure."""
    assert "no session is live and none is coming" in cli("poll-recent-messages").stdout
    cli.add_session("later", start="2098-09-06T13:00:00Z", end="2098-09-06T15:00:00Z")
    outcome = cli("poll-recent-messages")
    assert outcome.code == 0
    assert "next is later at 2098-09-06T13:00:00Z" in outcome.stdout
    reported = cli("poll-recent-messages", "--json").json
    assert reported == {
        "live": False,
        "next_session": {"session_id": "later", "start": "2098-09-06T13:00:00+00:00"},
    }


def test_a_poll_of_a_live_session_reads_what_is_missing(cli: Cli) -> None:
    """The first poll reads from the start, so that nothing before the trailing window is lost."""
    write_world(cli)
    add_live_session(cli)
    report = cli("poll-recent-messages", "--json").json
    assert (report["live"], report["session_id"], report["created"]) == (True, "live", 2)
    again = cli("poll-recent-messages", "--window-seconds", "60")
    assert again.code == 0
    assert "created 0" in again.stdout


def test_a_backfill_reads_the_whole_session(cli: Cli) -> None:
    """Raw exports land window by window and their messages are in the table."""
    write_world(cli)
    add_live_session(cli)
    report = cli("backfill", "--session-id", "live", "--json").json
    assert (report["received"], report["created"]) == (2, 2)
    assert any((cli.folder / "data" / "landing" / "live").rglob("*.json"))


def test_exports_are_kept_only_when_asked(cli: Cli) -> None:
    """The exporter's files go to the given folder, and away afterwards."""
    write_world(cli)
    add_live_session(cli)
    target = cli.folder / "kept"
    arguments = ("import-messages", "--session-id", "live", "--output-dir", str(target))
    assert cli(*arguments).code == 0
    assert list(target.iterdir()) == []
    assert cli(*arguments, "--keep-file").code == 0
    assert len(list(target.iterdir())) == 1


@pytest.mark.parametrize("command", ["import-messages", "poll-recent-messages"])
def test_a_finished_export_outlives_a_merge_that_fails(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A message says how to import its file; a poll, which reads it again, keeps none."""
    write_world(cli)
    add_live_session(cli)

    def is_busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("another process holds the database")

    with monkeypatch.context() as patched:
        patched.setattr(imports, "merge_documents", is_busy)
        given = ("--session-id", "live") if command == "import-messages" else ()
        outcome = cli(command, *given)
    assert outcome.code == ExitCode.DATABASE
    kept = list((cli.folder / "data" / "tmp_transcripts_from_discord").iterdir())
    if command == "poll-recent-messages":
        assert kept == []
        return
    (file,) = kept
    assert f"--file {file}" in outcome.stderr
    assert cli("import-messages", "--session-id", "live", "--file", str(file), "--json").json["created"] == 2


def test_a_session_is_added_once(cli: Cli) -> None:
    """The same again changes nothing; other values need --replace."""
    add = ("sessions", "add", "race", "--start", "2026-09-06T13:00:00Z", "--end")
    assert cli(*add, "2026-09-06T15:00:00Z", "--year", "2026").stdout == "session race created\n"
    assert cli(*add, "2026-09-06T17:00:00+02:00", "--year", "2026").stdout == "session race unchanged\n"
    refused = cli(*add, "2026-09-06T16:00:00Z", "--year", "2026")
    assert refused.code == ExitCode.BAD_INPUT
    for named in ("end_time", "2026-09-06T15:00:00+00:00", "2026-09-06T16:00:00+00:00"):
        assert named in refused.stderr
    assert "--replace" in refused.stderr
    assert cli(*add, "2026-09-06T16:00:00Z", "--replace", "--json").json["result"] == "updated"


def test_every_field_of_a_session_can_be_added_and_shown(cli: Cli, export: Path) -> None:
    """What goes in comes out, with its state and its messages."""
    options = {
        "name": "Italian Grand Prix",
        "year": "2026",
        "round_number": "16",
        "session_type": "Race",
        "location": "Monza",
        "country": "Italy",
    }
    cli.add_session(**options)
    cli("import-messages", "--session-id", "race", "--file", str(export))
    shown = cli("sessions", "show", "race", "--json").json
    assert shown == {
        "session_id": "race",
        "start_time": "2026-09-06T13:00:00+00:00",
        "end_time": "2026-09-06T15:00:00+00:00",
        "channel_ids": [str(CHANNEL_ID)],
        "year": 2026,
        "round_number": 16,
        "session_type": "Race",
        "event_name": "Italian Grand Prix",
        "location": "Monza",
        "country": "Italy",
        "is_cancelled": False,
        "scheduled_end": None,
        "state": shown["state"],
        "messages": 4,
    }
    assert "event_name:    Italian Grand Prix\n" in cli("sessions", "show", "race").stdout


def test_sessions_are_listed_with_their_state(cli: Cli) -> None:
    """By start: ended, live, coming."""
    add_live_session(cli)
    cli.add_session("later", start="2098-09-06T13:00:00Z", end="2098-09-06T15:00:00Z")
    cli.add_session("before", start="2020-09-06T13:00:00Z", end="2020-09-06T15:00:00Z")
    listed = cli("sessions", "list", "--json").json["sessions"]
    assert [(each["session_id"], each["state"]) for each in listed] == [
        ("before", "ended"),
        ("live", "live"),
        ("later", "coming"),
    ]
    lines = cli("sessions", "list").stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines[1:]] == [
        ["before", "ended"],
        ["live", "live"],
        ["later", "coming"],
    ]


def test_a_removed_session_leaves_its_messages(cli: Cli, export: Path) -> None:
    """Adding it again and importing again links them again."""
    cli.add_session()
    cli("import-messages", "--session-id", "race", "--file", str(export))
    assert cli("sessions", "remove", "race").code == ExitCode.OK
    assert cli("sessions", "show", "race").code == ExitCode.SESSION_NOT_FOUND
    assert cli("sessions", "remove", "race").code == ExitCode.SESSION_NOT_FOUND
    cli.add_session()
    report = cli("import-messages", "--session-id", "race", "--file", str(export), "--json").json
    assert (report["created"], report["unchanged"]) == (0, 4)
    assert cli("messages", "--session-id", "race", "--json").json["count"] == 4


def test_sessions_are_imported_from_files(cli: Cli) -> None:
    """Twice the same file changes nothing; a wrong file changes nothing either."""
    path = cli.folder / "season.csv"
    path.write_text("id,start,end\nrace,2026-09-06T13:00:00Z,2026-09-06T15:00:00Z\n", encoding="utf-8")
    first = cli("sessions", "import", str(path), "--channel-id", "11", "--json").json
    assert first == {
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "session_ids": ["race"],
        "overlaps": [],
    }
    assert cli("sessions", "show", "race", "--json").json["channel_ids"] == ["11"]
    again = cli("sessions", "import", str(path), "--channel-id", "11")
    assert again.stdout == "1 session: created 0, updated 0, unchanged 1\n"
    path.write_text(
        "id,start,end\nfp1,2026-09-06T13:00:00Z,2026-09-06T15:00:00Z\nfp2,x,y\n", encoding="utf-8"
    )
    refused = cli("sessions", "import", str(path))
    assert refused.code == ExitCode.BAD_INPUT
    assert "line 3, session 'fp2': start_time 'x'" in refused.stderr
    assert cli("sessions", "show", "fp1").code == ExitCode.SESSION_NOT_FOUND
    path.write_text("id,start,end\n", encoding="utf-8")
    assert "holds no sessions" in cli("sessions", "import", str(path)).stderr


def test_the_sessions_file_is_taken_over_by_the_next_command(cli: Cli) -> None:
    """Edits count at once; a wrong edit is warned of and leaves the sessions as they were."""
    data = cli.folder / "data"
    data.mkdir()
    file = data / "sessions.yaml"
    session = "- {{id: race, start: 2026-09-06T13:00:00Z, end: {end}}}\n"
    file.write_text(session.format(end="2026-09-06T15:00:00Z"), encoding="utf-8")
    assert cli("sessions", "show", "race", "--json").json["end_time"] == "2026-09-06T15:00:00+00:00"
    file.write_text(session.format(end="soon"), encoding="utf-8")
    outcome = cli("sessions", "show", "race", "--json")
    assert outcome.json["end_time"] == "2026-09-06T15:00:00+00:00"
    assert "was not imported" in outcome.stderr
    file.write_text(session.format(end="2026-09-06T16:00:00Z"), encoding="utf-8")
    assert cli("sessions", "show", "race", "--json").json["end_time"] == "2026-09-06T16:00:00+00:00"


@pytest.mark.slow
def test_text_of_another_encoding_is_printed_escaped(cli: Cli, export: Path) -> None:
    """A pipe without Unicode gets JSON with escapes, and lines with escapes, but no error."""
    cli.add_session()
    cli("import-messages", "--session-id", "race", "--file", str(export))
    cli.environment |= {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    reported = cli.process("messages", "--session-id", "race", "--json")
    assert reported.json["messages"][2]["message_text"] == "Understood. 👍"
    assert "\\U0001f44d" in cli.process("messages", "--session-id", "race").stdout


@pytest.mark.slow
def test_on_a_terminal_rows_are_a_table_and_progress_is_shown(cli: Cli, export: Path) -> None:
    """Content is shown as it is, never as markup or control codes; progress goes to standard error."""
    cli.add_session()
    cli.environment |= {"COLUMNS": "200", "TERM": "xterm"}
    arguments = ("import-messages", "--session-id", "race", "--file", str(export), "--json")
    code, stdout, screen = on_a_terminal(cli, "stderr", *arguments)
    assert (code, json.loads(stdout)["created"]) == (0, 4)
    assert "messages read" in screen
    _, _, screen = on_a_terminal(cli, "stdout", "messages", "--session-id", "race")
    assert "[red]plain[/red] text of two lines" in screen
    assert "2026-09-06T13:00:40Z" in screen


def on_a_terminal(cli: Cli, stream: str, *arguments: str) -> tuple[int, str, str]:
    """Run with one stream on a terminal; return exit code, the other stream and the screen."""
    screen, terminal = pty.openpty()
    try:
        with cli.start(*arguments, **{stream: terminal}) as process:
            os.close(terminal)
            shown = b"".join(iter(lambda: read_screen(screen), b""))
            stdout, stderr = process.communicate(timeout=120)
    finally:
        os.close(screen)
    return process.returncode, (stdout or stderr or b"").decode(), shown.decode()


def read_screen(screen: int) -> bytes:
    """Read what a terminal shows next, nothing at its end (which Linux reports by an error)."""
    try:
        return os.read(screen, 65536)
    except OSError:
        return b""


def test_of_two_live_sessions_the_first_is_polled(cli: Cli) -> None:
    """The other one is warned of."""
    write_world(cli)
    add_live_session(cli)
    now = datetime.now(UTC)
    cli.add_session("also", start=now.isoformat(), end=(now + timedelta(hours=1)).isoformat())
    outcome = cli("poll-recent-messages")
    assert outcome.stdout.startswith("live: ")
    assert "also live: also" in outcome.stderr
