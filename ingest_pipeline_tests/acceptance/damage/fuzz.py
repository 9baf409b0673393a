"""Feed damaged exports to the import without end: only an error of this project may come of it.

    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.fuzz --seconds 600
    .venv/bin/python -m ingest_pipeline_tests.acceptance.damage.fuzz --seed 1234567 --count 1

A seed names a document (`mutations.py`). Each is imported as a user's file; what the reader takes is
then sent the way of an exporter's output: landed, normalized, merged. Prints what became of them; ends
with 1 when something is not as it should be, and says with which seed that comes again.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType

from pydantic import SecretStr

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.imports import import_messages, merge_documents
from ingest_pipeline.ingestion.ingest import IngestReport
from ingest_pipeline.ingestion.refresh import normalize_windows
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.exports.reader import read_export, read_header
from ingest_pipeline.landing.store import split_export
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.acceptance.damage.mutations import mutate
from ingest_pipeline_tests.acceptance.sweeps.kill_sweep import ENGINES, grounds
from ingest_pipeline_tests.acceptance.sweeps.sandbox import MERGED, Tables, merged, stored_tables, without

LONGEST_CPU_SECONDS, LONGEST_SECONDS = 10, 60
SESSION_ID = "fuzzed"
# Every export of the corpus was posted in it.
SPAN = Window(datetime(2019, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
READ_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Hang(Exception):
    """A document took longer than any may."""


class Fuzzer:
    """The import with everything it needs, and what must hold of it.

    Args:
        services: On an empty database and folder.
        folder: For the documents.
    """

    def __init__(self, services: Services, folder: Path) -> None:
        """Store the session that everything is imported for."""
        self._services = services
        self._file = folder / "export.json"
        with services.database.write() as connection:
            save_sessions(connection, [Session(SESSION_ID, SPAN.start, SPAN.end, (1,))], now=SPAN.start)

    def tables(self) -> Tables:
        """Return what is stored, without who brought it and when this database came to hold it."""
        tables = merged(stored_tables(self._services.database, MERGED))
        return without(tables, {"correlation_id", "created_at", "updated_at", "recorded_at"})

    def feed(self, random: Random) -> str:
        """Take one document both ways.

        Returns:
            `imported`, or the name of the error that refused it.

        Raises:
            AssertionError: Something is not as it should be.
            Hang: It takes too long.
            Exception: Whatever the import raises that is not one of this project.
        """
        self._file.write_bytes(mutate(random))
        before = self.tables()
        with limited():
            refused, report = self._tried()
            if report is None:
                assert self.tables() == before, "a refused document changed the table"
                return refused
            _check(report)
            after = self.tables()
            again = self._imported()
            assert (again.created, again.updated) == (0, 0), again
            assert self.tables() == after, "the second import changed the table"
            self._send_as_exported(report)
        return "imported"

    def _tried(self) -> tuple[str, IngestReport | None]:
        try:
            return "", self._imported()
        except BadInput as error:
            reported = str(error)
            name = type(error).__name__
        assert str(self._file) in reported, reported
        return name, None

    def _imported(self) -> IngestReport:
        return import_messages(self._services, SESSION_ID, file=self._file)

    def _send_as_exported(self, report: IngestReport) -> None:
        """Land, normalize and merge what the reader has taken whole: none of it may fail now."""
        services = self._services
        with self._file.open("rb") as stream:
            channel_id = read_header(stream, "x").channel_id
        session = Session(SESSION_ID, SPAN.start, SPAN.end, (channel_id,))
        keys = services.grid.keys[:1] + services.grid.keys[-1:]
        windows = [(key, window) for key in keys if (window := services.grid.window(key, SPAN))]
        services.landing.land(self._file, SESSION_ID, windows, channel_id, READ_AT)
        stored = normalize_windows(services, session, keys, "landed")
        landed = merge_documents(services, stored, "landed")
        _check(landed)
        assert (landed.received, landed.created) == (report.received, 0), (landed, report)
        assert landed.skipped == report.skipped, (landed, report)


def read_and_split(random: Random, folder: Path) -> str:
    """Read a document and cut it into windows, without a database: what can be read can be cut.

    Returns:
        `read`, or the name of the error that refused it.

    Raises:
        AssertionError: Something is not as it should be.
        Hang: It takes too long.
        Exception: Whatever is raised that is not one of this project.
    """
    file = folder / "export.json"
    file.write_bytes(mutate(random))
    middle = SPAN.start + (SPAN.end - SPAN.start) / 2
    with limited():
        try:
            elements = _elements(file)
        except BadInput as error:
            return type(error).__name__
        windows = [Window(SPAN.start, middle), Window(middle, SPAN.end)]
        with split_export(file, windows, READ_AT) as parts:
            cut = sum(_elements(part) for part in parts)
    assert cut == elements, f"{elements} messages were cut into {cut}"
    return "read"


def _elements(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(len(batch) for batch in read_export(stream, file.name)[1])


def _check(report: IngestReport) -> None:
    merged_rows = report.created + report.updated + report.unchanged + report.stale
    assert report.received == merged_rows + sum(report.skipped.values()), report


@contextmanager
def limited() -> Iterator[None]:
    """Raise `Hang` after some seconds of this process's own work, however busy the machine is."""

    def give_up(_signal_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"no end after {LONGEST_CPU_SECONDS} s of work")

    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def fresh_services(engine: str) -> Iterator[tuple[Services, Path, str | None]]:
    """Yield the working parts on an empty database, a folder of their own and the database's URL."""
    with grounds(engine, 1) as (ground,):
        settings = Settings(
            _env_file=None, data_dir=ground.data_dir, database_url=ground.url and SecretStr(ground.url)
        )
        services = build_services(settings)
        yield services, ground.folder, ground.url
        services.database.close()


Feed = Callable[[Random], str]


def fuzz(
    made: Callable[[Services, Path, str | None], Feed],
    described: str | None,
    reader: Callable[..., str] | None = None,
) -> int:
    """Feed until the time is over, print what became of it, and return the exit code.

    Args:
        made: Makes what is fed from what `fresh_services` yields.
        described: The command's help.
        reader: What needs no more than a folder, for `--no-database`.
    """
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="on each engine")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="of the first input")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="how many inputs at most")
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=list(ENGINES))
    if reader:
        parser.add_argument("--no-database", action="store_true", help="only read and cut")
    options = parser.parse_args()
    logging.disable()
    if reader and options.no_database:
        with TemporaryDirectory(prefix="ingest-fuzz-") as name:
            return min(_feed_all(partial(reader, folder=Path(name)), "no database", options), 1)
    wrong = 0
    for engine in options.engine:
        with fresh_services(engine) as parts:
            wrong += _feed_all(made(*parts), engine, options)
    return 1 if wrong else 0


def _feed_all(feed: Feed, engine: str, options: argparse.Namespace) -> int:
    deadline = time.monotonic() + options.seconds
    outcomes: Counter[str] = Counter()
    wrong = 0
    for seed in count(options.seed):
        if time.monotonic() > deadline or seed - options.seed >= options.count:
            break
        # Whatever holds still in spite of everything shows where, and ends.
        faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
        try:
            outcomes[feed(Random(seed))] += 1  # noqa: S311 - named by its seed
        except Exception:  # noqa: BLE001 - that is what is looked for
            wrong += 1
            print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)  # noqa: T201
    faulthandler.cancel_dump_traceback_later()
    reported = ", ".join(f"{name}: {number}" for name, number in outcomes.most_common())
    tried = sum(outcomes.values()) + wrong
    print(f"{engine}: {tried} inputs from seed {options.seed}: {reported}; wrong: {wrong}", flush=True)  # noqa: T201
    return wrong


if __name__ == "__main__":
    sys.exit(fuzz(lambda services, folder, _url: Fuzzer(services, folder).feed, __doc__, read_and_split))
