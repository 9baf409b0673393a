"""Readings to merge, and what the tables must be after them: the merge rules again, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any
from zlib import crc32

import pyarrow as pa

from ingest_pipeline.domain.messages.message import OBSERVED_AT_UNKNOWN
from ingest_pipeline.domain.messages.normalize import NORMALIZER_VERSION
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.deletions import Tombstone
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA

START = datetime(2025, 5, 29, 13, 30, tzinfo=UTC)
CHANNEL = 1101802452224856174
NEVER = datetime.min.replace(tzinfo=UTC)
UNKNOWN = -inf
WORDLESS = 5
"""The digest of a content without words."""


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the beginning; what stands for an unknown one for `UNKNOWN`."""
    if seconds == UNKNOWN:
        return OBSERVED_AT_UNKNOWN
    return START + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Reading:
    """One message as read at one time; times in seconds after the beginning."""

    discord_id: int = 1
    digest: int = 100
    observed: float = 0
    edited: float | None = None
    source: str = "export"
    correlation_id: str = "c1"
    channel_id: int = CHANNEL
    nickname: str | None = None
    driver: str | None = None
    posted: float | None = None
    skip_reason: str | None = None
    details: int | None = None  # 0: there are none; None: the source does not carry any

    @property
    def details_version(self) -> tuple[datetime, datetime, int]:
        """What decides whose details are newer."""
        return (*self.version[:2], self.details or 0)

    @property
    def version(self) -> tuple[datetime, datetime, int]:
        """What decides which of two readings is newer."""
        edited = NEVER if self.edited is None else at(self.edited)
        return (
            edited - timedelta(microseconds=edited.microsecond % 1000),
            at(self.observed),
            self.digest,
        )

    @property
    def first(self) -> tuple[bool, float, str, str]:
        """What decides which of two readings of one content is the first."""
        return (self.observed == UNKNOWN, self.observed, self.source, self.correlation_id)

    @property
    def _number(self) -> int:
        """A number of its own, 0 for the plainest reading."""
        named = f"{self.digest} {self.observed:g} {self.source} {self.correlation_id}"
        return (crc32(named.encode()) - crc32(b"100 0 export c1")) % 1000

    def row(self) -> dict[str, Any]:
        """Return the row it becomes, as far as it decides it; every column differs between readings.

        Were one the same for all, nothing would show that an edit leaves it as it was.
        """
        number = self._number
        return {
            "discord_id": self.discord_id,
            "guild_id": 7 + number,
            "channel_id": self.channel_id,
            "posted_at": at(self.discord_id + number / 1000 if self.posted is None else self.posted),
            "edited_at": None if self.edited is None else at(self.edited),
            "driver": self.driver,
            "author_id": 9 + number,
            "author_name": f"Pit wall {number}" if number else "Pit wall",
            "author_nickname": self.nickname,
            "author_is_bot": number % 2 == 0,
            "raw_content": f"content {self.digest} \\ \t 'ü' 🏁\n\\.\n",
            "message_text": f"text {self.digest} {number}" if self.digest != WORDLESS else "",
            "parts": f'[{{"at": "embed[0].title", "text": "{number}"}}]',
            "forwarded": f'{{"message_id": "{number}"}}' if number else None,
            "author_roles": f'[{{"id": "{number}"}}]' if number else None,
            "normalizer_version": NORMALIZER_VERSION,
            "inline_emojis": f'[{{"name": "{number}"}}]' if number else "[]",
            "message_type": f"Type {number}" if number else "Default",
            "is_pinned": self.digest % 2 == 1,
            "reference_id": number or None,
            "attachments": f'[{{"url": "https://cdn.example/a?x={1 + number}"}}]',
            "attachment_count": 1 + number,
            "embeds": f'[{{"title": "{number}"}}]' if number else "[]",
            "embed_count": number,
            "stickers": f'[{{"id": "{number}"}}]' if number else "[]",
            "reactions": f'[{{"emoji": "👍", "count": {2 + number}}}]',
            "reaction_count": 1 + number,
            "is_highlight_candidate": False,
            "source": self.source,
            "observed_at": at(self.observed),
            "content_digest": self.digest,
            "correlation_id": self.correlation_id,
        }

    def content(self) -> dict[str, Any]:
        """Return what is kept of it in every table."""
        return {name: value for name, value in self.row().items() if name != "channel_id"}


def staged(readings: Iterable[Reading]) -> pa.Table:
    """Return readings as they are staged."""
    rows = [
        reading.row() | {"skip_reason": reading.skip_reason} | _staged_details(reading.details)
        for reading in readings
    ]
    return pa.Table.from_pylist(rows, STAGING_SCHEMA)


def _staged_details(digest: int | None) -> dict[str, Any]:
    if digest is None:
        return {"details_digest": None}
    text = f"words {digest}" if digest else ""
    return {
        "details_digest": digest,
        "details": f'{{"flags": {digest}}}',
        "details_parts": f'[{{"at": "component.text", "text": "`D{digest}` {text}"}}]',
        "details_text": f"`D{digest}` {text}" if digest else "",
        "details_said_text": text,
        "details_driver": f"D{digest}" if digest % 2 else None,
    }


def _with_details(row: dict[str, Any], mine: Sequence[Reading]) -> dict[str, Any]:
    """Return a row of `messages` with the details that its message must have."""
    reported = [reading for reading in mine if reading.details is not None]
    newest = max(reported, key=lambda reading: reading.details_version).details if reported else None
    if not newest:
        return row
    staged_details = _staged_details(newest)
    if row["message_text"]:
        return row | {"message_text": f"{row['message_text']}\n{staged_details['details_text']}"}
    driver = row["driver"] or staged_details["details_driver"]
    return row | {"message_text": staged_details["details_said_text"], "driver": driver}


def tombstone(discord_id: int, deleted: float, correlation_id: str = "d1") -> Tombstone:
    """Return a deletion so many seconds after the beginning."""
    return Tombstone(discord_id, CHANNEL, 7, at(deleted), "gateway", correlation_id)


def expected_session(row: dict[str, Any], sessions: Iterable[Session], parent_id: int | None) -> str | None:
    """Return the session that a row of `messages` must belong to."""
    owners = [
        (session.start_time, session.session_id)
        for session in sessions
        if session.start_time <= row["posted_at"] < session.end_time
        and (row["channel_id"] in session.channel_ids or parent_id in session.channel_ids)
    ]
    return min(owners)[1] if owners else None


def expected_messages(
    readings: Sequence[Reading],
    tombstones: Sequence[Tombstone],
    sessions: Sequence[Session] = (),
    parents: Mapping[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Return what `messages` must hold after these, apart from when it came to hold it."""
    deleted = {
        each.discord_id: min(other.deleted_at for other in tombstones if other.discord_id == each.discord_id)
        for each in tombstones
    }
    rows = []
    for mine in _by_message(readings, taken=True):
        winner = max(mine, key=lambda reading: reading.version)
        same = [reading for reading in mine if reading.digest == winner.digest]
        first = min(same, key=lambda reading: reading.first)
        row = first.row() | {
            "channel_id": min(reading.channel_id for reading in mine),
            "observed_at": at(max(reading.observed for reading in same)),
            "first_observed_at": at(first.observed),
            "deleted_at": deleted.get(first.discord_id),
        }
        row["session_id"] = expected_session(row, sessions, (parents or {}).get(row["channel_id"]))
        rows.append(_with_details(row, mine))
    return rows


def expected_revisions(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Return what `message_revisions` must hold: every other content, as first read."""
    rows = []
    for mine in _by_message(readings, taken=True):
        winner = max(mine, key=lambda reading: reading.version)
        for digest in sorted({reading.digest for reading in mine} - {winner.digest}):
            first = min((r for r in mine if r.digest == digest), key=lambda reading: reading.first)
            rows.append(first.content())
    return rows


def expected_skipped(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Return what `skipped_messages` must hold: every content of messages that no reading takes."""
    rows = []
    for mine in _by_message(readings, taken=False):
        for digest in sorted({reading.digest for reading in mine}):
            same = [reading for reading in mine if reading.digest == digest]
            first = min(same, key=lambda reading: reading.first)
            content = {k: v for k, v in first.content().items() if k != "is_highlight_candidate"}
            rows.append(
                content
                | {
                    "channel_id": min(reading.channel_id for reading in same),
                    "first_observed_at": at(first.observed),
                    "observed_at": at(max(reading.observed for reading in same)),
                    "skip_reason": first.skip_reason,
                }
            )
    return rows


def _by_message(readings: Sequence[Reading], *, taken: bool) -> list[list[Reading]]:
    """Return the readings of each message that some reading takes, or that none does, by id."""
    found = []
    for discord_id in sorted({reading.discord_id for reading in readings}):
        mine = [reading for reading in readings if reading.discord_id == discord_id]
        if any(reading.skip_reason is None for reading in mine) is taken:
            found.append(mine)
    return found


def stored_messages(connection: Connection) -> list[dict[str, Any]]:
    """Return what `messages` holds, apart from when it came to hold it."""
    rows = connection.fetch_all("read_first_page", _page("messages", "discord_id"), maximum=10**6)
    return [{k: v for k, v in row.items() if k not in {"created_at", "updated_at"}} for row in rows]


def stored_revisions(connection: Connection) -> list[dict[str, Any]]:
    """Return what `message_revisions` holds, apart from when it came to hold it."""
    names = _page("message_revisions", "discord_id, content_digest")
    rows = connection.fetch_all("read_first_page", names, maximum=10**6)
    return [{k: v for k, v in row.items() if k != "recorded_at"} for row in rows]


def stored_skipped(connection: Connection) -> list[dict[str, Any]]:
    """Return what `skipped_messages` holds, apart from when it came to hold it."""
    names = _page("skipped_messages", "discord_id, content_digest")
    rows = connection.fetch_all("read_first_page", names, maximum=10**6)
    return [{k: v for k, v in row.items() if k != "recorded_at"} for row in rows]


def stored_row(connection: Connection, discord_id: int = 1) -> dict[str, Any]:
    """Return every column of one message."""
    rows = connection.fetch_all("read_first_page", _page("messages", "discord_id"), maximum=10**6)
    return next(row for row in rows if row["discord_id"] == discord_id)


def _page(table: str, key: str) -> dict[str, str]:
    return {"table": table, "columns": "*", "key": key}
