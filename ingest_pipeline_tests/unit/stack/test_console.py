"""What reaches the console and the log files, and what never does."""

from __future__ import annotations

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.redaction import guard
from ingest_pipeline.stack.supervisor import Console, clean


class ClosedPipe(io.StringIO):
    """A console whose reader went away."""

    def write(self, text: str) -> int:
        """Fail as a closed pipe does."""
        raise BrokenPipeError(text)


def test_lines_are_prefixed_on_the_console_and_dated_in_the_file(tmp_path: Path) -> None:
    """People see who speaks; files also say when, in UTC."""
    stream = io.StringIO()
    console = Console(stream, tmp_path)
    console.write("webserver", "100% ready\n")
    console.log("hello")
    console.close()
    assert stream.getvalue() == "webserver  │ 100% ready\nstart      │ hello\n"
    line = (tmp_path / "webserver.log").read_text()
    assert line.endswith("Z 100% ready\n")
    assert line[10] == "T"


def test_debug_and_empty_lines_stay_off_the_console(tmp_path: Path) -> None:
    """The files hold them; people reading along do not need them."""
    stream = io.StringIO()
    console = Console(stream, tmp_path)
    console.write("code", "2026-01-01 10:00:00 +0000 - dagster - DEBUG - STEP_START")
    console.write("code", "\n")
    console.close()
    assert stream.getvalue() == ""
    assert "STEP_START" in (tmp_path / "code.log").read_text()


def test_secrets_reach_neither_console_nor_file(tmp_path: Path) -> None:
    """Tokens and passwords in URLs are replaced wherever they occur."""
    stream = io.StringIO()
    guard("secret-token", "secret-token-longer")
    console = Console(stream, tmp_path)
    console.write("daemon", "using secret-token-longer and secret-token")
    console.write("daemon", "at postgresql://me:p4ss@host/db")
    console.close()
    for text in (stream.getvalue(), (tmp_path / "daemon.log").read_text()):
        assert "secret" not in text
        assert "p4ss" not in text
        assert "postgresql://***@host/db" in text


@given(st.text())
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    """Whatever a message contains, the terminal gets nothing to obey."""
    cleaned = clean(text)
    assert all(character.isprintable() or not _obeyed(character) for character in cleaned)


def test_colours_of_a_part_are_removed_whole() -> None:
    """Removing the escape character alone would leave its remains in the text."""
    assert clean("\x1b[32m10:00\x1b[0m ok") == "10:00 ok"


def test_a_closed_console_leaves_the_files_going(tmp_path: Path) -> None:
    """A terminal that went away does not end anything."""
    console = Console(ClosedPipe(), tmp_path)
    console.log("first")
    console.log("second")
    console.close()
    assert (tmp_path / "start.log").read_text().count("\n") == 2


def _obeyed(character: str) -> bool:
    code = ord(character)
    return (code < 32 and character != "\t") or 127 <= code < 160
