"""Sessions from rows of text: the same rules for every file format and for the command line.

A reader of a format yields `SessionRow`s; here the fields are named, converted and checked, and all
problems of a file are reported at once. Formats belong to `session_files.py` and `schedules/calendars.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from ingest_pipeline.domain.sessions.session import Session, validate_session_id
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window, require_utc
from ingest_pipeline.errors import BadInput, SessionInvalid, WindowInvalid

# That a session went on is found out, and not written.
FIELD_NAMES = tuple(field.name for field in fields(Session) if field.name != "scheduled_end")
ALIASES = {
    "id": "session_id",
    "start": "start_time",
    "end": "end_time",
    "name": "event_name",
    "channel_id": "channel_ids",
    "channel": "channel_ids",
    "channels": "channel_ids",
    "cancelled": "is_cancelled",
}
REQUIRED = ("session_id", "start_time", "end_time")
MAX_PROBLEMS = 20
MAX_TEXT = 500

# Times beyond these are typing errors, and sums with them would leave what a datetime can hold.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_DATE_ONLY = re.compile(r"\d{4}-?\d\d-?\d\d")
_SEPARATORS = re.compile(r"[\s,;]+")

Value = str | list[str] | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as written.

    Attributes:
        where: Its place in the file, such as `line 12`.
        fields: Field names as written, with their text, list of texts, or None for nothing.
        problems: What the format's reader already found wrong with it.
    """

    where: str
    fields: tuple[tuple[str, Value], ...]
    problems: tuple[str, ...] = ()


_NO_CHANNEL = "names no channel: add channel_ids, or set default_channel_id in data/settings.yaml"


def build_sessions(rows: Iterable[SessionRow], name: str, *, default_channel_id: int | None) -> list[Session]:
    """Return the sessions that rows describe, in the rows' order.

    Args:
        rows: The rows of one file.
        name: The file's name in messages.
        default_channel_id: The channel of sessions that name none; None when there is no such channel.

    Raises:
        SessionInvalid: A row breaks a rule, or two rows have one id; the message lists up to
            `MAX_PROBLEMS` problems of the file.
    """
    sessions: list[Session] = []
    problems: list[str] = []
    places: dict[str, str] = {}
    defaults = () if default_channel_id is None else (default_channel_id,)
    for row in rows:
        values, row_problems = convert_row(row, default_channel_ids=defaults)
        session_id = values.get("session_id")
        if session_id in places:
            row_problems.append(
                f"the id was already given in {places[session_id]}: give each session its own"
            )
        elif session_id is not None:
            places[session_id] = row.where
        label = row.where if session_id is None else f"{row.where}, session {session_id!r}"
        problems += [f"{label}: {problem}" for problem in row_problems]
        if not row_problems:
            sessions.append(Session(**values))
    if problems:
        raise SessionInvalid(describe_problems(name, problems))
    return sessions


def describe_problems(name: str, problems: list[str]) -> str:
    """Return one message of all problems of a file, cut off at `MAX_PROBLEMS`."""
    if len(problems) == 1:
        return f"{name}, {problems[0]}"
    shown = problems[:MAX_PROBLEMS]
    more = [f"… and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return "\n  ".join([f"{name} has {len(problems)} problems:", *shown, *more])


def field_name(written: str) -> str:
    """Return the field that a written name stands for: case, spaces, hyphens and aliases are equal.

    Raises:
        SessionInvalid: No field is called so; the message names the nearest.
    """
    folded = re.sub(r"[\s-]+", "_", written.strip().lower())
    name = ALIASES.get(folded, folded)
    if name in FIELD_NAMES:
        return name
    near = get_close_matches(folded, [*FIELD_NAMES, *ALIASES], n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(FIELD_NAMES)}"
    raise SessionInvalid(f"unknown field {shown(written)}: {remedy}")


def parse_moment(text: str, what: str) -> datetime:
    """Return an aware UTC time from ISO 8601 text with an offset, to the microsecond.

    Args:
        text: Such as `2026-09-06T13:00:00Z` or `2026-09-06T15:00:00+02:00`.
        what: Its name in the error message, such as `--start`.

    Raises:
        WindowInvalid: The text is no time, has no offset, or lies outside 1970 to 2099.
    """
    text = text.strip()
    if _DATE_ONLY.fullmatch(text):
        raise WindowInvalid(
            f"{what} {text!r} is a date without a time: write it in full, such as {text}T00:00:00Z"
        )
    try:
        moment = require_utc(datetime.fromisoformat(text), what)
    except (ValueError, OverflowError):
        raise WindowInvalid(
            f"{what} {shown(text)} is not a time: write ISO 8601 with an offset, such as 2026-09-06T13:00:00Z"
        ) from None
    if not _EARLIEST <= moment < _LATEST:
        raise WindowInvalid(f"{what} {text!r} is not between 1970 and 2099: check the year")
    return moment


def parse_channel_id(text: str) -> int:
    """Return a Discord channel id from its digits.

    Raises:
        BadInput: The text is not a snowflake.
    """
    channel_id = parse_snowflake(text)
    if channel_id is None:
        raise BadInput(
            f"channel id {shown(text)} is not a Discord id: write its digits, such as 1101802452224856174"
        )
    return channel_id


def shown(value: object) -> str:
    """Return a value as a message quotes it, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def convert_row(row: SessionRow, *, default_channel_ids: tuple[int, ...]) -> tuple[dict[str, Any], list[str]]:
    """Return a row's converted values by field, and its problems.

    Args:
        row: What is written.
        default_channel_ids: The channels when the row names none; empty when there is no such channel.
    """
    written, problems = _by_field(row)
    values: dict[str, Any] = {}
    for field, value in written.items():
        try:
            values[field] = _CONVERTERS[field](field, value)
        except BadInput as error:
            problems.append(str(error))
    problems += [f"{field} is empty: give one" for field in REQUIRED if values.get(field, "") is None]
    values = {field: value for field, value in values.items() if value is not None}
    if not row.problems:
        problems += [f"{field} is missing: give one" for field in REQUIRED if field not in written]
    if "start_time" in values and "end_time" in values:
        try:
            Window(values["start_time"], values["end_time"])
        except WindowInvalid as error:
            problems.append(str(error))
    if default_channel_ids:
        values.setdefault("channel_ids", default_channel_ids)
    elif "channel_ids" not in values and not problems:
        problems.append(_NO_CHANNEL)
    return values, problems


def _by_field(row: SessionRow) -> tuple[dict[str, Value], list[str]]:
    """Return a row's values by the field they stand for, and its problems."""
    written: dict[str, Value] = {}
    problems = list(row.problems)
    for name, value in row.fields:
        try:
            field = field_name(name)
        except SessionInvalid as error:
            problems.append(str(error))
            continue
        if field in written:
            problems.append(f"{field} is given twice, the second time as {shown(name)}: keep one")
        written.setdefault(field, value)
    return written, problems


def _text(field: str, value: Value) -> str | None:
    """Return text with white space collapsed, or None when nothing is left."""
    if isinstance(value, list):
        raise SessionInvalid(f"{field} is a list: give one value")
    text = " ".join((value or "").split())
    # Control characters and halves of surrogate pairs cannot be stored by every database.
    wrong = next((character for character in text if unicodedata.category(character) in {"Cc", "Cs"}), None)
    if wrong is not None:
        raise SessionInvalid(f"{field} holds the character U+{ord(wrong):04X}: remove it")
    if len(text) > MAX_TEXT:
        raise SessionInvalid(f"{field} has {len(text)} characters: use at most {MAX_TEXT}")
    return text or None


def _session_id(field: str, value: Value) -> str | None:
    text = _text(field, value)
    return None if text is None else validate_session_id(text)


def _moment(field: str, value: Value) -> datetime | None:
    text = _text(field, value)
    return None if text is None else parse_moment(text, field)


def _number(field: str, value: Value) -> int | None:
    text = _text(field, value)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise SessionInvalid(f"{field} {shown(text)} is not a whole number from 0 to 9999")
    return int(text)


def _flag(field: str, value: Value) -> bool | None:
    text = (_text(field, value) or "").lower()
    if text not in {"", "true", "false", "yes", "no"}:
        raise SessionInvalid(f"{field} {shown(text)} is neither true nor false")
    return text in {"true", "yes"} if text else None


def _channels(field: str, value: Value) -> tuple[int, ...] | None:
    """Return the channel ids of a list, or of text that separates them by spaces, `;` or `,`."""
    texts = value if isinstance(value, list) else _SEPARATORS.split(_text(field, value) or "")
    return tuple(parse_channel_id(text.strip()) for text in texts if text.strip()) or None


_CONVERTERS: dict[str, Callable[[str, Value], Any]] = {
    "session_id": _session_id,
    "start_time": _moment,
    "end_time": _moment,
    "channel_ids": _channels,
    "year": _number,
    "round_number": _number,
    "session_type": _text,
    "event_name": _text,
    "location": _text,
    "country": _text,
    "is_cancelled": _flag,
}
