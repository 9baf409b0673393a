"""Queries of content, and highlights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.engine.database import Connection

Rows = list[dict[str, Any]]
SessionChannel = tuple[str, int]
"""A session and one of its channels."""


def radio_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return team radio, oldest first.

    Returns:
        `discord_id`, `channel_id`, `posted_at` (aware UTC), `driver` as written, `driver_code` and
        `driver_name` (null for an unknown driver), `driver_team` (null also for one without a car on that
        day) and `radio_text`.
    """
    return _in_window(connection, "radio_in_window", channel_ids, window)


def setups_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return trade setups with their `posted_at` (aware UTC), oldest first; prices are decimals."""
    return _in_window(connection, "setups_in_window", channel_ids, window)


def biases_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return biases with their `posted_at` (aware UTC), oldest first."""
    return _in_window(connection, "biases_in_window", channel_ids, window)


def unparsed_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return unparsed lines with their `posted_at` (aware UTC), oldest first."""
    return _in_window(connection, "unparsed_in_window", channel_ids, window)


def clips_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return clips, oldest first.

    Returns:
        The columns of `clips`, `posted_at` and `channel_id` of their messages, and `sha256` and `problem`
        of their files, both null for one that was never fetched. Times are aware UTC.
    """
    return _in_window(connection, "clips_in_window", channel_ids, window)


def highlights_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return the messages that some signal speaks for, candidates or not, highest score first.

    Returns:
        `discord_id`, `guild_id`, `channel_id`, `posted_at` (aware UTC), `author_name`, `driver` as
        written, `driver_name` as known, `message_text`, `score`, `is_candidate` and `reasons` (JSON text).
    """
    return _in_window(connection, "highlights_in_window", channel_ids, window)


def setup_tickers(connection: Connection, discord_ids: Sequence[int]) -> Rows:
    """Return how many `setups` each `ticker` has in each message (`discord_id`), in their order."""
    return connection.fetch_all("setup_tickers", discord_ids=list(discord_ids))


def arrivals_in_window(connection: Connection, channel_ids: Sequence[int], window: Window) -> Rows:
    """Return `posted_at` and `created_at` (aware UTC) and `source` of live messages, oldest first."""
    return _in_window(connection, "arrivals_in_window", channel_ids, window)


def last_changes(connection: Connection, session_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when the messages of sessions, what they say or whose they are last changed, aware UTC.

    Sessions that have no messages and never had any are left out.
    """
    rows = connection.fetch_all("last_changes", session_ids=list(session_ids))
    return {row["session_id"]: row["changed_at"] for row in rows}


def _in_window(connection: Connection, query: str, channel_ids: Sequence[int], window: Window) -> Rows:
    return connection.fetch_all(query, channel_ids=list(channel_ids), start=window.start, end=window.end)


@dataclass(frozen=True, slots=True)
class SessionRate:
    """The rate that a pair's highlights were scored by as a whole.

    Attributes:
        usual_per_minute: Messages a minute.
        rule_digest: The rule that scored them.
    """

    usual_per_minute: float
    rule_digest: str


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A time_range of time `[start, end)` in a pair, aware UTC."""

    pair: SessionChannel
    start: datetime
    end: datetime


def highlight_channels(connection: Connection, discord_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return `discord_id`, `session_id`, `channel_id`, `minute` (UTC) and `reference_id` of messages."""
    return connection.fetch_all("highlight_channels", discord_ids=list(discord_ids))


def minute_counts(
    connection: Connection, pairs: Collection[SessionChannel]
) -> dict[SessionChannel, dict[datetime, int]]:
    """Count the live messages of each pair by UTC minute; minutes without any are left out."""
    rows = connection.fetch_all(
        "session_minutes",
        session_ids=sorted({session_id for session_id, _ in pairs}),
        channel_ids=sorted({channel_id for _, channel_id in pairs}),
    )
    counts: dict[SessionChannel, dict[datetime, int]] = {pair: {} for pair in pairs}
    for row in rows:
        pair = row["session_id"], row["channel_id"]
        if pair in counts:
            counts[pair][row["minute"]] = row["n"]
    return counts


def session_starts(connection: Connection, session_ids: Collection[str]) -> dict[str, datetime]:
    """Return when those sessions begin that are stored."""
    rows = connection.fetch_all("session_starts", session_ids=sorted(session_ids))
    return {row["session_id"]: row["start_time"] for row in rows}


def session_rates(connection: Connection, session_ids: Collection[str]) -> dict[SessionChannel, SessionRate]:
    """Return the rates that pairs were scored by; those never scored are left out."""
    rows = connection.fetch_all("read_session_rates", session_ids=sorted(session_ids))
    return {
        (row["session_id"], row["channel_id"]): SessionRate(row["usual_per_minute"], row["rule_digest"])
        for row in rows
    }


def keep_session_rate(connection: Connection, pair: SessionChannel, rate: SessionRate) -> None:
    """Remember the rate that a pair is scored by."""
    session_id, channel_id = pair
    connection.execute(
        "keep_session_rate",
        session_id=session_id,
        channel_id=channel_id,
        usual_per_minute=rate.usual_per_minute,
        rule_digest=rate.rule_digest,
    )


def messages_of(connection: Connection, time_ranges: Sequence[TimeRange]) -> set[int]:
    """Return the ids of the messages in some time_ranges, deleted ones too."""
    if not time_ranges:
        return set()
    rows = connection.fetch_all(
        "highlight_neighbours",
        session_ids=[time_range.pair[0] for time_range in time_ranges],
        channel_ids=[time_range.pair[1] for time_range in time_ranges],
        starts=[time_range.start for time_range in time_ranges],
        ends=[time_range.end for time_range in time_ranges],
    )
    return {row["discord_id"] for row in rows}


def highlight_sources(connection: Connection, discord_ids: Collection[int]) -> list[dict[str, Any]]:
    """Return what messages are scored by, deleted ones too, by ascending id.

    Returns:
        `discord_id`, `session_id`, `channel_id`, `minute` (UTC), `message_text`, `reaction_count`,
        `reply_count`, `deleted_at` and `is_highlight_candidate`.
    """
    return connection.fetch_all("highlight_sources", discord_ids=sorted(discord_ids))


def mark_highlights(connection: Connection, *, candidates: Sequence[int], others: Sequence[int]) -> None:
    """Write the flag of messages whose flag is the wrong one."""
    for discord_ids, is_candidate in ((candidates, True), (others, False)):
        if discord_ids:
            connection.execute("mark_highlights", discord_ids=list(discord_ids), is_candidate=is_candidate)
