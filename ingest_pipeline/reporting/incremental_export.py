"""An export that is kept up to date: a Parquet file for each day, and only days with changes written again.

The change feed says which days have changed since the last time, but for bursts: where the usual rate of a
session's channel has moved, all its days are written again. A day's file is written beside the old one
and put in its place, and the position in the feed is noted last: after a kill the same days are written
again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.errors import BadInput
from ingest_pipeline.reporting.export import Heading, export_messages
from ingest_pipeline.reporting.formats import ExportFormat
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.changes import read_changes
from ingest_pipeline.storage.messages.queries import MessageFilter
from ingest_pipeline.storage.search.indexed_texts import feed_id

TABLE = "messages"
"""The folder of the days; polars reads no folder with any other file in it."""
STATE_FILE = "state.json"
_LOCK_FILE = "lock"
_AT_ONCE = 20_000
_DAY = timedelta(days=1)

Write = Callable[[BinaryIO], int]
WriteFile = Callable[[Path, Write], int]
"""Writes a file as a whole and returns what its writer did."""


@dataclass(frozen=True, slots=True)
class DaysReport:
    """The result of an export by days.

    Attributes:
        written: Days that were written.
        removed: Days that have no messages any more.
        messages: Messages in the days that were written.
        position: The last change that is taken into account.
    """

    written: int
    removed: int
    messages: int
    position: int


def export_days(database: Database, wanted: MessageFilter, folder: Path, write_file: WriteFile) -> DaysReport:
    """Bring a folder of daily Parquet files up to date: `messages/day=2026-12-01/messages.parquet`.

    Days are those of UTC on which messages were posted.

    Args:
        wanted: Which messages; always the same for a folder.
        folder: Where to; made if it is not there.
        write_file: Writes a file.

    Raises:
        BadInput: The folder is of another filter, is written by another process, or cannot be written.
    """
    with _held(folder):
        state = _read_state(folder, wanted)
        with database.read() as connection:
            feed = feed_id(connection)
            # Of a database that was restored all days are written again.
            after = state["position"] if state.get("feed") == feed else 0
            days, position = _changed_days(connection, after)
            usual, days_of = _usual_rates(connection)
        known = state.get("usual", {})
        days.update(*(days_of[place] for place, rate in usual.items() if known.get(place) != rate))
        if not after:
            days |= {
                date.fromisoformat(each.name.partition("=")[2]) for each in folder.glob(f"{TABLE}/day=*")
            }
        counts = [_write_day(database, wanted, folder, day, write_file) for day in sorted(days)]
        noted = {"feed": feed, "position": position, "filter": _filter(wanted), "usual": usual}
        text = json.dumps(noted, indent=1)
        write_file(folder / STATE_FILE, lambda stream: stream.write(text.encode()))
    return DaysReport(
        sum(count > 0 for count in counts), sum(count == 0 for count in counts), sum(counts), position
    )


def _changed_days(connection: Connection, after: int) -> tuple[set[date], int]:
    """Return the days whose messages have changed since a position, and the position of the last change."""
    days: set[date] = set()
    while changes := read_changes(connection, after=after, limit=_AT_ONCE):
        days.update(created_at(each.discord_id).date() for each in changes)
        after = changes[-1].position
    return days, after


def _usual_rates(connection: Connection) -> tuple[dict[str, str], dict[str, set[date]]]:
    """Return what is usual in each session's channel, and its days."""
    usual: dict[str, str] = {}
    days: dict[str, set[date]] = {}
    for row in connection.fetch_all("list_session_rates"):
        place = f"{row['session_id']} {row['channel_id']}"
        usual[place] = f"{row['usual_per_minute']:g} {row['rule_digest']}"
        first, last = row["first_minute"].date(), row["last_minute"].date()
        days[place] = {first + each * _DAY for each in range((last - first).days + 1)}
    return usual, days


def _write_day(
    database: Database, wanted: MessageFilter, folder: Path, day: date, write_file: WriteFile
) -> int:
    """Write a day's file, or remove it where there are no messages, and return how many there are."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    of_day = replace(
        wanted,
        since=max(start, wanted.since or start),
        until=min(start + _DAY, wanted.until or start + _DAY),
    )
    path = folder / TABLE / f"day={day.isoformat()}" / "messages.parquet"

    def write(stream: BinaryIO) -> int:
        with database.read() as connection:
            return export_messages(connection, of_day, Heading(""), ExportFormat.PARQUET, stream)

    count = write_file(path, write)
    if not count:
        path.unlink()
        path.parent.rmdir()
    return count


def _read_state(folder: Path, wanted: MessageFilter) -> dict[str, Any]:
    path = folder / STATE_FILE
    if not path.exists():
        return {"position": 0}
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before, position = state["filter"], int(state["position"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} cannot be read ({error}): delete it to have every day written again"
        ) from error
    if before != _filter(wanted):
        raise BadInput(
            f"{folder} holds the messages of {before or 'everything'}: name the same, or another folder"
        )
    return {**state, "position": position}


def _filter(wanted: MessageFilter) -> dict[str, str]:
    stated = asdict(wanted).items()
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in stated
        if value is not None
    }


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK_FILE)
        with lock.acquire(blocking=False):
            yield
    except Timeout as error:
        raise BadInput(f"another process writes to {folder}: wait for it, or name another folder") from error
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written ({error.strerror or error}): name another folder"
        ) from error
