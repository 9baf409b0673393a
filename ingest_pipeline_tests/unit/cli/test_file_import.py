"""`ingest import` on the command line: what it prints, and its exit codes."""

from __future__ import annotations

import os
import pty
import zipfile
from pathlib import Path

import pytest

from ingest_pipeline.errors import ExitCode
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import CHANNEL_ID, as_bytes, export, message, write_export


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a folder with an archive: two exports, of which one is cut off."""
    cli = Cli(tmp_path)
    with zipfile.ZipFile(tmp_path / "exports.zip", "w") as archive:
        archive.writestr("good.json", as_bytes(export([message(1), message(2)])))
        archive.writestr("cut.json", as_bytes(export([message(3), message(4)]))[:-500])
    return cli


def test_an_archive_is_imported_without_a_session_and_its_damage_is_in_the_exit_code(cli: Cli) -> None:
    """A line for each file is on standard output, the summary and the warning beside it."""
    outcome = cli("import", "exports.zip")
    assert outcome.code == ExitCode.INCOMPLETE
    lines = [line.split("\t") for line in outcome.stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["file", "outcome", "channel", "messages"],
        ["exports.zip!cut.json", "damaged", "", "0"],
        ["exports.zip!good.json", "imported", "team-radio", "2"],
    ]
    assert "2 files: 1 damaged, 1 imported" in outcome.stderr
    assert "not imported: exports.zip!cut.json " in outcome.stderr
    assert cli("sessions", "list", "--json").json["sessions"] == []


def test_the_report_as_json_counts_files_and_messages(cli: Cli) -> None:
    """Ids are texts, times have an offset; the second run reads nothing."""
    first = cli("import", "exports.zip", "--salvage", "--json")
    assert first.code == ExitCode.INCOMPLETE
    assert first.json["outcomes"] == {"salvaged": 1, "imported": 1}
    assert (first.json["received"], first.json["created"]) == (3, 3)
    cut, good = first.json["files"]
    assert (cut["file"], cut["messages"]) == ("exports.zip!cut.json", 1)
    assert (good["channel_id"], good["first"]) == (str(CHANNEL_ID), "2026-09-06T13:00:01+00:00")
    again = cli("import", "exports.zip", "--salvage", "--json")
    assert (again.code, again.json["outcomes"]) == (ExitCode.OK, {"unchanged": 2})


def test_a_folder_without_exports_is_refused(cli: Cli) -> None:
    """What is there instead is not imported silently."""
    (cli.folder / "folder").mkdir()
    (cli.folder / "folder" / "picture.png").touch()
    outcome = cli("import", "folder")
    assert (outcome.code, outcome.stdout) == (ExitCode.BAD_INPUT, "")
    assert "there is no export among these files" in outcome.stderr


def test_a_bar_of_bytes_is_shown_on_a_terminal(cli: Cli) -> None:
    """Bytes of all files are its total."""
    write_export(cli.folder / "a.json", [message(second) for second in range(2_000)])
    terminal, theirs = pty.openpty()
    with cli.start("import", "a.json", "--json", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        process.communicate(timeout=120)
    os.close(terminal)
    assert process.returncode == 0
    assert b"MB" in shown
    assert b"a.json" in shown
