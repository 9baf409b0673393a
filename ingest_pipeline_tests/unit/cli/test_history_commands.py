"""The commands on history: what they print, and how they end."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from ingest_pipeline.cli.commands.ingestion import history
from ingest_pipeline.cli.commands.ingestion.history_output import ChannelBars, importing
from ingest_pipeline.cli.commands.sessions import sessions
from ingest_pipeline.cli.output import ReportingGroup
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.storage.runs.scan_runs import RunKind, ScanRun
from ingest_pipeline_tests.fake_discord.attach import attached
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

app = typer.Typer(cls=ReportingGroup, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("import-history")(history.import_history)
app.command("gaps")(history.gaps)
app.command("verify-message-counts")(history.verify_message_counts)
app.command("seal")(history.seal)
app.add_typer(sessions.app)


@dataclass
class Commands:
    """The commands, in a folder of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run one; return exit code, standard output and standard error."""
        ours = ("INGEST_", "DISCORD_", "POLL_")
        unset = {name: None for name in os.environ if name.startswith(ours)}
        settings = {
            "INGEST_DATA_DIR": str(self.folder / "data"),
            "INGEST_LOG_LEVEL": "WARNING",
            **self.environment,
        }
        result = CliRunner().invoke(app, list(arguments), env={**unset, **settings}, prog_name="ingest")
        return result.exit_code, result.stdout, result.stderr

    def json(self, *arguments: str) -> tuple[int, Any]:
        """Run one with `--json`; return exit code and what it printed."""
        code, stdout, stderr = self(*arguments, "--json")
        assert stdout.count("\n") == 1, (stdout, stderr)
        return code, json.loads(stdout)


@pytest.fixture
def server() -> Iterator[DiscordServer]:
    """A simulated Discord that discord.py is attached to."""
    with DiscordServer() as running, attached(running):
        yield running


@pytest.fixture
def commands(tmp_path: Path, server: DiscordServer, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The commands with the server's token."""
    (tmp_path / ".env").touch()
    monkeypatch.chdir(tmp_path)
    return Commands(tmp_path, {"DISCORD_BOT_TOKEN": server.token})


@pytest.fixture
def guild(server: DiscordServer) -> int:
    """A guild that the bot is in."""
    return server.guilds.create("Paddock")


@pytest.fixture
def radio(server: DiscordServer, guild: int) -> int:
    """A channel with messages that were posted an hour ago."""
    channel = server.channels.create(guild, "team-radio")
    server.messages.bulk_load(channel, 120, ends=datetime.now(UTC) - timedelta(hours=1))
    return channel


def test_an_import_ends_with_nothing_missing(commands: Commands, guild: int, radio: int) -> None:
    """Import, no gaps, exact: each command says so and ends with 0."""
    code, report = commands.json("import-history", "--guild", str(guild))
    assert (code, report["complete"], report["total_messages"]) == (0, True, 120)
    assert report["channels"][0] | {"error": None} == report["channels"][0]
    assert (report["channels"][0]["channel_id"], report["channels"][0]["name"]) == (str(radio), "team-radio")
    nothing: dict[str, list[object]] = {"gaps": [], "read_without_words": [], "read_without_media": []}
    assert commands.json("gaps") == (0, nothing)
    code, verdict = commands.json("verify-message-counts")
    assert (code, verdict["exact"], verdict["in_table"]) == (0, True, 120)


def test_in_a_pipe_the_results_are_lines_of_cells(commands: Commands, guild: int, radio: int) -> None:
    """Data on standard output, what it means on standard error."""
    code, stdout, stderr = commands("import-history", "--guild", str(guild))
    assert code == 0
    assert stdout.splitlines()[1].split("\t") == [str(radio), "team-radio", "completed", "120", "120", ""]
    assert "120 messages" in stderr
    code, stdout, stderr = commands("verify-message-counts", "--sample", "50")
    assert stdout.splitlines()[1].split("\t")[-1] == "exact"
    assert "only samples were read" in stderr
    assert commands("gaps") == (0, "", "no gaps\n")


@pytest.mark.slow
def test_what_is_missing_ends_with_ten_until_it_is_fixed(
    commands: Commands, server: DiscordServer, guild: int, radio: int
) -> None:
    """A difference, a gap, a repair: only the last ends with 0."""
    commands("import-history", "--guild", str(guild))
    new = server.messages.post(radio, "new")
    code, stdout, stderr = commands("verify-message-counts")
    assert code == ExitCode.INCOMPLETE
    assert "1 not_read" in stdout
    assert f"message {new}: not_read" in stderr
    code, listed = commands.json("gaps", "--channel", str(radio))
    assert (code, listed["gaps"][0]["reason"]) == (ExitCode.INCOMPLETE, "after_last_reading")
    assert commands("gaps")[0] == ExitCode.INCOMPLETE
    assert commands("gaps", "--repair") == (0, "", "1 gaps before, 0 now\n")
    assert commands("verify-message-counts")[0] == 0


def test_a_channel_that_stops_half_way_ends_with_ten(
    commands: Commands, server: DiscordServer, guild: int, radio: int
) -> None:
    """It is reported with its reason; channels that could never be read are reported and no failure."""
    hidden = server.channels.create(guild, "hidden")
    server.permissions.revoke(hidden)
    code, _, stderr = commands("import-history", "--guild", str(guild))
    assert code == 0
    assert f"left out #hidden ({hidden}): forbidden" in stderr
    server.permissions.revoke(radio, permissions.READ_MESSAGE_HISTORY)
    code, stdout, _ = commands("verify-message-counts", "--guild", str(guild))
    assert code == ExitCode.INCOMPLETE
    assert "history" in stdout
    code, _, stderr = commands("import-history", "--guild", str(guild), "--channel", str(radio))
    assert code == ExitCode.DISCORD
    assert "team-radio" in stderr


def test_a_session_is_sealed_and_sealed_again(
    commands: Commands, server: DiscordServer, guild: int, radio: int
) -> None:
    """By its id or because it is due; the second version says what changed."""
    end = datetime.now(UTC) - timedelta(minutes=59)
    start = end - timedelta(minutes=30)
    times = ("--start", start.isoformat(), "--end", end.isoformat())
    assert commands("sessions", "add", "monza", *times, "--channel-id", str(radio))[0] == 0
    code, report = commands.json("seal")
    assert (
        code,
        report["sessions"][0]["version"],
        report["sessions"][0]["channels"][0]["message_count"],
    ) == (0, 1, 120)
    assert commands("seal") == (0, "", "no session is due to be sealed\n")
    server.messages.delete(radio, server.state.channels[radio].ids[-1])
    code, stdout, _ = commands("seal", "--session-id", "monza")
    cells = stdout.splitlines()[1].split("\t")
    assert (code, cells[:4]) == (0, ["monza", "2", str(radio), "119"])
    assert cells[-6:] == ["0", "1", "0", "0", "0", "messages changed"]
    server.permissions.revoke(radio)
    code, _, stderr = commands("seal", "--session-id", "monza")
    assert code == ExitCode.INCOMPLETE
    assert "monza was not sealed" in stderr
    assert commands("seal", "--session-id", "nowhere")[0] == ExitCode.SESSION_NOT_FOUND


@pytest.mark.parametrize(
    "arguments", [("import-history", "--guild", "1"), ("verify-message-counts",), ("gaps", "--repair")]
)
def test_without_a_token_the_setting_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is attempted."""
    code, _, stderr = Commands(tmp_path, {"DISCORD_BOT_TOKEN": ""})(*arguments)
    assert code == ExitCode.CONFIGURATION
    assert "DISCORD_BOT_TOKEN" in stderr


def test_a_wrong_id_is_quoted(commands: Commands) -> None:
    """Guilds and channels are named by their digits."""
    code, _, stderr = commands("import-history", "--guild", "paddock")
    assert (code, "'paddock'" in stderr) == (ExitCode.BAD_INPUT, True)
    assert commands("gaps", "--channel", "radio")[0] == ExitCode.BAD_INPUT


def test_nothing_to_verify_is_reported(commands: Commands) -> None:
    """An empty verification is not called exact."""
    code, stdout, stderr = commands("verify-message-counts")
    assert (code, stdout) == (0, "")
    assert "nothing to verify" in stderr


def test_without_a_terminal_there_are_no_bars() -> None:
    """Progress is for people."""
    with importing() as progress:
        assert progress is None


def test_the_bars_follow_the_readings() -> None:
    """A channel's bar begins at its first batch, moves with its cursor and goes when it is read."""
    bars = Progress(console=Console(file=io.StringIO()))
    show = ChannelBars(bars)
    run = ScanRun("r1", 1, 2, RunKind.IMPORT, 0, "c1", datetime.now(UTC), head_id=1_000, cursor_id=200)
    show(replace(run, messages_read=1_500))
    show(replace(run, cursor_id=600))
    [task] = bars.tasks
    assert (task.percentage, task.visible) == (50, True)
    show(replace(run, cursor_id=1_000))
    assert (task.percentage, task.visible) == (100, False)
    show(replace(run, channel_id=3))
    assert len(bars.tasks) == 2
