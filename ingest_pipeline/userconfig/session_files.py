"""Sessions files: read whole, and taken over into the database.

YAML holds a list of sessions, at the top or under `sessions:`. CSV has a header line; comma,
semicolon and tab all separate cells. Field names are `Session`'s, with the aliases of
`session_rows.ALIASES`. For iCalendar see `schedules/calendars.py`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from pathlib import Path, PurePath

import yaml

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import SessionChanges, save_sessions
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline.userconfig.edited_files import (
    decode_text,
    is_null,
    line_of,
    mapping_items,
    read_edited_file,
    yaml_root,
)
from ingest_pipeline.userconfig.session_rows import (
    REQUIRED,
    SessionRow,
    Value,
    build_sessions,
    describe_problems,
    field_name,
    shown,
)
from ingest_pipeline.userconfig.settings_file import default_channel

_SUFFIXES = ".yaml, .yml, .csv, .ics, .json"
_STATE_KEY = "sessions_file_digest"


def read_sessions(path: Path, *, default_channel_id: int | None) -> list[Session]:
    """Read the sessions of a file, in the file's order.

    Args:
        path: A `.yaml`, `.yml` or `.csv` file.
        default_channel_id: The channel of sessions that name none.

    Raises:
        SessionInvalid: Rows break rules; the message lists the file's problems with line, value and
            remedy.
        BadInput: The file cannot be read, is of no known format, or not what its suffix says.
    """
    return parse_sessions(read_edited_file(path), str(path), default_channel_id=default_channel_id)


def parse_sessions(content: bytes, name: str, *, default_channel_id: int | None) -> list[Session]:
    """Read the sessions of a file's bytes; the name's suffix is the format's.

    Raises:
        SessionInvalid: As `read_sessions`.
        BadInput: As `read_sessions`.
    """
    match PurePath(name).suffix.lower():
        case ".yaml" | ".yml":
            rows = _yaml_rows(decode_text(content, name), name)
        case ".csv":
            rows = list(_csv_rows(decode_text(content, name), name))
        case suffix:
            raise BadInput(f"{name} ends in {suffix!r}: sessions are read from files ending in {_SUFFIXES}")
    return build_sessions(rows, name, default_channel_id=default_channel_id)


def _yaml_rows(text: str, name: str) -> list[SessionRow]:
    root = yaml_root(text, name)
    if isinstance(root, yaml.MappingNode):
        items = dict(mapping_items(root, name, "the document"))
        if set(items) != {"sessions"}:
            keys = ", ".join(shown(key) for key in items) or "none"
            raise BadInput(f"{name} must have the one top-level key 'sessions' (or be a list); it has {keys}")
        root = None if is_null(items["sessions"]) else items["sessions"]
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise BadInput(f"{name}, line {line_of(root)}: sessions must be a list: start each with '- id: …'")
    return [_yaml_row(item) for item in root.value]


def _yaml_row(item: yaml.Node) -> SessionRow:
    where = f"line {line_of(item)}"
    if not isinstance(item, yaml.MappingNode):
        return SessionRow(where, (), ("a session must be 'field: value' lines, such as 'id: monza-race'",))
    fields: list[tuple[str, Value]] = []
    problems: list[str] = []
    for key, node in item.value:
        if not isinstance(key, yaml.ScalarNode):
            problems.append(f"a field's name in line {line_of(key)} must be plain text")
            continue
        try:
            fields.append((key.value, _yaml_value(node)))
        except SessionInvalid as error:
            problems.append(f"{shown(key.value)} {error}")
    return SessionRow(where, tuple(fields), tuple(problems))


def _yaml_value(node: yaml.Node) -> Value:
    if is_null(node):
        return None
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(
        isinstance(entry, yaml.ScalarNode) for entry in node.value
    ):
        return [str(entry.value) for entry in node.value]
    raise SessionInvalid("must be one value or a plain list of values")


def _csv_rows(text: str, name: str) -> Iterator[SessionRow]:
    records = _csv_records(text, name)
    line, header = next(records, (0, []))
    if not header:
        raise BadInput(f"{name} is empty: its first line must name the fields, such as 'id,start,end'")
    columns = _csv_columns(header, name, line)
    for line, record in records:
        surplus = any(cell.strip() for cell in record[len(columns) :])
        problem = f"{len(record)} cells for {len(columns)} columns: quote a value that holds the separator"
        cells = tuple(zip(columns, record, strict=False))
        yield SessionRow(f"line {line}", cells, (problem,) if surplus else ())


def _csv_records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the line in which it starts."""
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(f"{name}, line {line}, is not CSV: {error}. Check its quotes") from error


def _csv_columns(header: list[str], name: str, line: int) -> list[str]:
    columns: list[str] = []
    problems: list[str] = []
    for cell in header:
        try:
            column = field_name(cell)
        except SessionInvalid as error:
            problems.append(str(error))
            continue
        if column in columns:
            problems.append(f"{column} has two columns, the second called {shown(cell)}: keep one")
        columns.append(column)
    if not problems:
        problems = [f"missing column {field}" for field in REQUIRED if field not in columns]
    if problems:
        raise SessionInvalid(describe_problems(name, [f"line {line}: {problem}" for problem in problems]))
    return columns


def sync_sessions_file(database: Database, settings: Settings, now: datetime) -> SessionChanges | None:
    """Import `data/sessions.yaml` if it has changed since the last time.

    Sessions are created and updated, never removed: one that leaves the file stays stored.

    Args:
        database: Where the sessions and the digest of the file last taken over are.
        settings: Return where the file is and which channel sessions have that name none.
        now: Time of the change, aware UTC.

    Returns:
        What changed, or None when the file is absent or as it was.

    Raises:
        SessionInvalid: The file breaks rules; nothing is changed, and the next call tries again.
        BadInput: The file cannot be read.
    """
    path = settings.sessions_file
    if not path.is_file():
        return None
    content = read_edited_file(path)
    # The default channel is part of what the file says: sessions that name none follow it.
    channel_id = default_channel(settings)
    digest = blake2b(content + b"\0%d" % (channel_id or 0), digest_size=16).hexdigest()
    with database.read() as connection:
        if get_state(connection, _STATE_KEY) == digest:
            return None
    sessions = parse_sessions(content, str(path), default_channel_id=channel_id)

    def save(connection: Connection) -> SessionChanges:
        changes = save_sessions(connection, sessions, now=now)
        set_state(connection, _STATE_KEY, digest)
        return changes

    return database.run(save)
