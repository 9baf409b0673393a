"""Run the command with arguments that nobody should write: it says what is wrong and changes no message.

    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.fuzz_arguments --seconds 600
    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.fuzz_arguments --seed 1234567 --count 1

A seed names a command line, made from the commands and options that there are. It must end with a
documented exit code other than the unexpected one, without a traceback and within a minute; the
messages may only have changed after an import that succeeded. Without a token or an exporter, as what
those bring is fuzzed by `fuzz.py`; and every path is in the command's own folder, since a command does
what the arguments name: it would write anywhere that this user may.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import typer

from ingest_pipeline.cli.app import app
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.acceptance.damage.fuzz import fuzz, limited
from ingest_pipeline_tests.acceptance.damage.mutations import mutate
from ingest_pipeline_tests.acceptance.sweeps.sandbox import MERGED, Tables, stored_tables
from ingest_pipeline_tests.cli_runs import Cli
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, START, as_bytes, export, message

SESSION = Session("race", START, START.replace(hour=15), (CHANNEL_ID,))
ALLOWED = set(ExitCode) - {ExitCode.UNEXPECTED}

_NUMBERS = ("0", "1", "-1", "11", "1e3", "nan", "inf", "0x10", "9" * 30, "1.5", "٣", "65536")
_TIMES = ("2026-09-06T13:00:00Z", "2026-09-06T15:00:00+02:00", "2026-09-06", "noon", "9999-12-31T23:59:59Z")
_FILES = (
    *("export.json", "odd.json", "sessions.yaml", "sessions.csv", "calendar.ics", "no-such-file", "."),
    *("folder/new", "x" * 300, "out.csv", "out.parquet"),
)
_URLS = (
    *("other.duckdb", "duckdb://other.duckdb", "export.json", "data/ingest.duckdb", "mysql://x/y"),
    *(
        "postgresql://[",
        "postgresql://u:secret@127.0.0.1:1/x",
        "postgresql://a@b@c/d",
        "postgresql://h:port/d",
    ),
)
_ODD = (
    "",
    " ",
    "-",
    "--",
    "--help",
    "--json",
    "@file",
    "%s",
    "{}",
    "'; DROP TABLE messages;--",
    "\udcff",
    "\u202e",
)
# What a value of an option may look like, by a part of its name.
_FITTING = {
    "session": ("race", "race", "gone", "a|b", "ſ"),
    "channel": (str(CHANNEL_ID), "0", "#general"),
    "guild": (str(GUILD_ID), "-5"),
    "identifier": (str(CHANNEL_ID), "0" * 32),
    "start": _TIMES,
    "end": _TIMES,
    "file": _FILES,
    "output": _FILES,
    "format": ("csv", "jsonl", "parquet", "html", "xml"),
    "from": _URLS,
    "to": _URLS,
}


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command below a group with the words that lead to it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


# What starts the whole stack has tests of its own.
COMMANDS = [each for each in leaves(typer.main.get_command(app)) if each[0][0] not in {"start", "demo"}]


def command_line(random: Random) -> list[str]:
    """Return a command with some of its options, and up to two things wrong with the line."""
    words, command = random.choice(COMMANDS)
    line = list(words)
    for parameter in command.params:
        if random.random() > (0.95 if parameter.required else 0.3):
            continue
        if parameter.param_type_name == "option":
            line.append(parameter.opts[0])
        if not getattr(parameter, "is_flag", False):
            line.append(_value(random, parameter.opts[0].lstrip("-")))
    for _ in range(random.choice((0, 0, 1, 2))):
        place = random.randrange(len(line) + 1)
        change = random.randrange(4)
        if change == 0:
            line.insert(place, _text(random))
        elif change == 1:
            del line[place : place + 1]
        elif change == 2:
            line.insert(place, random.choice(random.choice(COMMANDS)[1].params).opts[0])
        else:
            line[place : place + 1] = [_text(random)]
    # It would wait for further changes for ever.
    return [word for word in line if word != "--follow"]


def _value(random: Random, name: str) -> str:
    fitting = next((values for part, values in _FITTING.items() if part in name), _NUMBERS)
    return random.choice(fitting) if random.random() < 0.8 else _text(random)


def _text(random: Random) -> str:
    if random.random() < 0.7:
        return random.choice((*_ODD, *_NUMBERS, *_TIMES, *_FILES, *_URLS))
    starts = (48, 65, 0x7F, 0x660, 0xE000, 0x1F3C1)
    return "".join(chr(random.choice(starts) + random.randrange(26)) for _ in range(5))


def _is_of_this_folder(word: str) -> bool:
    path = word.partition("://")[2] if word.startswith("duckdb:") else word
    return not path.startswith("/") and ".." not in path.split("/")


class CommandFuzzer:
    """The command in a folder of its own on a database with messages, and what must hold of it.

    Args:
        services: On an empty database.
        folder: For the command; the database, when it is a file, is in it.
        url: The database's URL; None for the file.
    """

    def __init__(self, services: Services, folder: Path, url: str | None) -> None:
        """Import three messages."""
        self._services = services
        environment = {"INGEST_DATABASE_WAIT_SECONDS": "1", **({"INGEST_DATABASE_URL": url} if url else {})}
        self._cli = Cli(folder, environment)
        self._restore(Random(0))  # noqa: S311 - named by its seed
        outcome = self._cli("import-messages", "--session-id", "race", "--file", "export.json")
        assert outcome.code == 0, outcome

    def _tables(self) -> Tables:
        return stored_tables(self._services.database, MERGED)

    def _restore(self, random: Random) -> None:
        """Put session and files in their places, whatever a command has done to them."""
        folder = self._cli.folder
        for path in folder.iterdir():
            if path.name not in {"data", ".env"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        with self._services.database.write() as connection:
            save_sessions(connection, [SESSION], now=datetime.now(UTC))
        whole = as_bytes(export(message(seconds, "`Sainz` Box.") for seconds in range(3)))
        (folder / "export.json").write_bytes(whole)
        (folder / "odd.json").write_bytes(mutate(random))
        (folder / "sessions.yaml").write_text("sessions:\n  - {session_id: a, start_time: noon}\n")
        (folder / "sessions.csv").write_text("session_id,start_time,end_time\nb,2026-01-01T00:00Z,2025\n")
        (folder / "calendar.ics").write_text("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nEND:VCALENDAR\n")

    def feed(self, random: Random) -> str:
        """Run one command line.

        Returns:
            The name of its exit code.

        Raises:
            AssertionError: Something is not as it should be.
        """
        line = command_line(random)
        assert all(map(_is_of_this_folder, line)), line
        self._restore(random)
        before = self._tables()
        with occupied_port() as port, limited():
            # A server that does start would go on for ever: the last port given is the one that counts.
            serves = not {"api", "mcp"}.isdisjoint(line)
            outcome = self._cli(*line, *(("--port", str(port)) if serves else ()))
        reported = f"{line}: {outcome}"
        assert outcome.code in ALLOWED, reported
        assert "--verbose" in line or "Traceback" not in outcome.stderr, reported
        # Messages stay regardless of their session, with another one or none.
        may_change = outcome.code == 0 and (
            line[0] == "sessions" or not {"import-messages", "import"}.isdisjoint(line)
        )
        assert may_change or self._tables() == before, reported
        return ExitCode(outcome.code).name.lower()


@contextmanager
def occupied_port() -> Iterator[int]:
    """Hold a port."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


if __name__ == "__main__":
    sys.exit(fuzz(lambda services, folder, url: CommandFuzzer(services, folder, url).feed, __doc__))
