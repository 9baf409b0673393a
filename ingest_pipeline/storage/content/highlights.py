"""The rows of highlights, and the counts that they are scored by, kept as messages come.

`session_minutes` has the messages of each minute of a session's channel, so that nothing counts a session
again: what is scored counts its own minutes again. A channel without a row in `session_rates` has not been
counted, or not since its messages became others; it is counted whole when it is scored next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from ingest_pipeline.storage.content.changes import Changes, changes_of, unique_ids
from ingest_pipeline.storage.content.rows import extracted
from ingest_pipeline.storage.content.tables import HIGHLIGHTS
from ingest_pipeline.storage.engine.columns import as_numpy
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted

SessionChannel = tuple[str, int]
"""A session and one of its channels."""
_MINUTE = timedelta(minutes=1)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionRate:
    """The rate that the highlights of a session's channel were scored by as a whole.

    Attributes:
        usual_per_minute: Messages a minute.
        rule_digest: The rule that scored them.
    """

    usual_per_minute: float
    rule_digest: str


@dataclass(slots=True)
class MinuteHistogram:
    """How many minutes have how many messages; silent minutes are left out.

    Attributes:
        minutes: Number of minutes, by number of messages.
        first: The first of them, aware UTC.
        last: The last of them, aware UTC.
    """

    first: datetime
    last: datetime
    minutes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """Where messages that are scored were posted.

    Attributes:
        channel_ids: Their channels.
        pairs: Their sessions with the channel.
        since: The first minute in which a session's messages were posted, aware UTC.
        until: The end of the last one, aware UTC.
    """

    channel_ids: frozenset[int]
    pairs: frozenset[SessionChannel]
    since: datetime
    until: datetime


def stage_messages(connection: Connection, discord_ids: np.ndarray) -> None:
    """Stage the messages that the functions below are about.

    Args:
        discord_ids: Their ids, int64, ascending.
    """
    ids = pa.Array.from_buffers(pa.int64(), len(discord_ids), [None, pa.py_buffer(discord_ids)])
    connection.stage("scored_messages", pa.table({"discord_id": ids}))


def answered_ids(connection: Connection) -> np.ndarray:
    """Return what the staged messages answer, int64."""
    return _ids(connection.fetch_arrow("list_answered"), "reference_id")


def find_places(connection: Connection, others: Sequence[int]) -> Places:
    """Find where the staged messages were posted, until `forget_places`.

    Args:
        others: Other messages, whose channels and sessions are returned too.
    """
    connection.execute("find_scored_minutes")
    rows = connection.fetch_all("list_scored_places", discord_ids=list(others))
    linked = [row for row in rows if row["session_id"] is not None and row["first_minute"] is not None]
    return Places(
        frozenset(row["channel_id"] for row in rows),
        frozenset((row["session_id"], row["channel_id"]) for row in rows if row["session_id"] is not None),
        min((row["first_minute"] for row in linked), default=_NEVER),
        max((row["last_minute"] + _MINUTE for row in linked), default=_NEVER),
    )


def forget_places(connection: Connection) -> None:
    """Forget what `find_places` found."""
    connection.execute("drop_scored_minutes")


def count_minutes(
    connection: Connection, places: Places, counted: Collection[SessionChannel]
) -> dict[SessionChannel, MinuteHistogram]:
    """Bring the counts of the places that were found in line with their messages, and return them.

    Args:
        counted: Those that were counted before.
    """
    uncounted = places.pairs.difference(counted)
    if uncounted:
        connection.execute("forget_session_minutes", **_lists(uncounted))
        connection.execute("count_session_minutes", **_lists(uncounted))
    if uncounted != places.pairs:
        connection.execute("recount_session_minutes", since=places.since, until=places.until)
    histograms: dict[SessionChannel, MinuteHistogram] = {}
    for row in connection.fetch_all("minute_histograms", **_lists(places.pairs)) if places.pairs else ():
        pair, first, last = (row["session_id"], row["channel_id"]), row["first_minute"], row["last_minute"]
        each = histograms.setdefault(pair, MinuteHistogram(first, last))
        each.first, each.last = min(each.first, first), max(each.last, last)
        each.minutes[row["messages"]] = row["minutes"]
    return histograms


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


def neighbour_ids(connection: Connection, places: Places) -> np.ndarray:
    """Return the messages posted in the minutes that were found, deleted ones too, int64."""
    return _ids(connection.fetch_arrow("list_neighbours", since=places.since, until=places.until))


def ids_of(connection: Connection, pairs: Collection[SessionChannel]) -> np.ndarray:
    """Return the messages of some sessions' channels, deleted ones too, int64."""
    return _ids(connection.fetch_arrow("list_messages_of_places", **_lists(pairs)))


def highlight_features(connection: Connection) -> pa.Table:
    """Return what the staged messages are scored by, deleted ones too, by ascending id.

    Returns:
        `discord_id`, `session_id`, `channel_id`, `is_live`, `is_highlight_candidate`, `reaction_count`,
        `reply_count`, `messages_per_minute` and `message_text`.
    """
    return connection.fetch_arrow("highlight_features")


def replace_highlights(connection: Connection, wanted: pa.Table, *, now: datetime) -> Changes:
    """Make the rows of the staged messages what they should be, writing only what differs.

    Args:
        wanted: All rows that they should have, of the columns of `highlights`.
        now: `extracted_at` of rows that are written, aware UTC.
    """
    stored = connection.fetch_one("any_highlights")
    if not (stored and stored["any_content"]):
        connection.load(HIGHLIGHTS.name, extracted(wanted, now))
        return Changes(created=tuple(unique_ids(wanted).tolist()), rows=len(wanted))
    connection.stage("wanted_highlights", wanted)
    found = connection.fetch_arrow("differing_highlights")
    differing, had, have = (unique_ids(found, side) for side in (None, "is_stored", "is_wanted"))
    if len(had):
        names = {"table": quoted(HIGHLIGHTS.name)}
        connection.execute("withdraw_content", names, discord_ids=had.tolist())
    if len(have):
        connection.execute("insert_highlights", discord_ids=have.tolist(), now=now)
    return changes_of(differing, had, have, len(wanted))


def mark_highlights(connection: Connection, *, candidates: Sequence[int], others: Sequence[int]) -> None:
    """Write the flag of messages whose flag is the wrong one."""
    for discord_ids, is_candidate in ((candidates, True), (others, False)):
        if discord_ids:
            connection.execute("mark_highlights", discord_ids=list(discord_ids), is_candidate=is_candidate)


def _lists(pairs: Collection[SessionChannel]) -> dict[str, list[object]]:
    ordered = sorted(pairs)
    return {
        "session_ids": [session_id for session_id, _ in ordered],
        "channel_ids": [channel_id for _, channel_id in ordered],
    }


def _ids(found: pa.Table, name: str = "discord_id") -> np.ndarray:
    return as_numpy(found[name].combine_chunks()) if len(found) else np.empty(0, np.int64)
