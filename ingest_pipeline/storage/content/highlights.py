"""Signals and bursts that highlights are made of: of messages, and of minutes by what is usual.

`session_minutes` has the messages of each minute of a session's channel and `session_rates` how many minutes
have how many, so that nothing counts a session again: what is scored counts its own minutes again. A channel
without a row in `session_rates` has not been counted, or not since its messages became others; it is counted
whole when it is scored next. `session_bursts` has what a burst adds by the messages of a minute: some rows,
which are all that a new usual rate changes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from ingest_pipeline.storage.content.changes import Changes, changes_of, unique_ids
from ingest_pipeline.storage.content.rows import Row, as_table, extracted
from ingest_pipeline.storage.content.tables import HIGHLIGHT_SIGNALS, SESSION_BURSTS
from ingest_pipeline.storage.engine.columns import as_numpy
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.engine.queries import quoted

SessionChannel = tuple[str, int]
"""A session and one of its channels."""
_MINUTE = timedelta(minutes=1)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class MinuteHistogram:
    """How many minutes have how many messages; silent minutes are left out.

    Attributes:
        first: The first of them, aware UTC; None when all are silent.
        last: The last of them, aware UTC; None when all are silent.
        minutes: Number of minutes, by number of messages.
    """

    first: datetime | None = None
    last: datetime | None = None
    minutes: dict[int, int] = field(default_factory=dict)

    def count(self, minute: datetime, before: int, messages: int) -> bool:
        """Count a minute again; return whether first and last are certain still."""
        for number, minutes in ((before, -1), (messages, 1)):
            if number:
                self.minutes[number] = self.minutes.get(number, 0) + minutes
        self.minutes = {number: minutes for number, minutes in self.minutes.items() if minutes}
        if messages:
            self.first = min(self.first or minute, minute)
            self.last = max(self.last or minute, minute)
        return bool(messages) or minute not in (self.first, self.last)


@dataclass(frozen=True, slots=True)
class SessionRate:
    """What is usual in a session's channel.

    Attributes:
        usual_per_minute: Messages a minute.
        rule_digest: The rule that bursts and signals were judged by.
        histogram: What it was computed from.
    """

    usual_per_minute: float
    rule_digest: str
    histogram: MinuteHistogram = field(default_factory=MinuteHistogram)


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
    connection: Connection, places: Places, counted: Mapping[SessionChannel, MinuteHistogram]
) -> dict[SessionChannel, MinuteHistogram]:
    """Bring the counts of the places that were found in line with their messages, and return them.

    Args:
        counted: Those that were counted before.
    """
    uncounted = places.pairs.difference(counted)
    if uncounted:
        connection.execute("forget_session_minutes", **_lists(uncounted))
        connection.execute("count_session_minutes", **_lists(uncounted))
    histograms = {pair: deepcopy(counted[pair]) for pair in places.pairs if pair in counted}
    if histograms:
        uncounted |= _recount(connection, places, histograms)
    return histograms | (_histograms(connection, uncounted) if uncounted else {})


def _recount(
    connection: Connection, places: Places, histograms: Mapping[SessionChannel, MinuteHistogram]
) -> set[SessionChannel]:
    """Count minutes again; return the pairs whose first or last minute is not known now."""
    found = connection.fetch_arrow("recount_session_minutes", since=places.since, until=places.until)
    columns = [each.to_pylist() for each in found.itercolumns()]
    unsure = set()
    for session_id, channel_id, second, before, messages in zip(*columns, strict=True):
        minute = datetime.fromtimestamp(second, UTC)
        if not histograms[session_id, channel_id].count(minute, before, messages):
            unsure.add((session_id, channel_id))
    if len(found):
        names = ("session_ids", "channel_ids", "minutes", "before", "messages")
        lists = dict(zip(names, columns, strict=True))
        del lists["before"]
        connection.execute("keep_session_minutes", **lists)
    return unsure


def _histograms(
    connection: Connection, pairs: Collection[SessionChannel]
) -> dict[SessionChannel, MinuteHistogram]:
    histograms = {pair: MinuteHistogram() for pair in pairs}
    for row in connection.fetch_all("minute_histograms", **_lists(pairs)):
        each = histograms[row["session_id"], row["channel_id"]]
        each.first = min(each.first or row["first_minute"], row["first_minute"])
        each.last = max(each.last or row["last_minute"], row["last_minute"])
        each.minutes[row["messages"]] = row["minutes"]
    return histograms


def session_rates(
    connection: Connection, session_ids: Collection[str]
) -> tuple[dict[SessionChannel, SessionRate], dict[str, datetime]]:
    """Return what is usual in the channels of sessions, those never scored left out, and when these begin."""
    rates: dict[SessionChannel, SessionRate] = {}
    starts: dict[str, datetime] = {}
    for row in connection.fetch_all("read_session_rates", session_ids=sorted(session_ids)):
        if row["start_time"] is not None:
            starts[row["session_id"]] = row["start_time"]
        if row["channel_id"] is not None:
            minutes = {int(messages): count for messages, count in json.loads(row["minutes"]).items()}
            histogram = MinuteHistogram(row["first_minute"], row["last_minute"], minutes)
            rates[row["session_id"], row["channel_id"]] = SessionRate(
                row["usual_per_minute"], row["rule_digest"], histogram
            )
    return rates, starts


def keep_session_rates(
    connection: Connection, rates: Mapping[SessionChannel, SessionRate], *, now: datetime
) -> None:
    """Remember what is usual in some pairs.

    Args:
        now: When, aware UTC.
    """
    kept = [rates[pair] for pair in sorted(rates)]
    connection.execute(
        "keep_session_rates",
        **_lists(rates),
        usual=[rate.usual_per_minute for rate in kept],
        digests=[rate.rule_digest for rate in kept],
        firsts=[_seconds(rate.histogram.first) for rate in kept],
        lasts=[_seconds(rate.histogram.last) for rate in kept],
        minutes=[json.dumps(rate.histogram.minutes) for rate in kept],
        now=now,
    )


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def replace_bursts(
    connection: Connection,
    rows: Sequence[Row],
    *,
    everywhere: Collection[SessionChannel],
    judged: Collection[tuple[str, int, int]],
    now: datetime,
) -> None:
    """Replace what bursts add.

    Args:
        rows: Of the columns of `session_bursts`.
        everywhere: The pairs of which they are all.
        judged: In others, the pairs and numbers of messages of a minute that they are of.
        now: When, aware UTC.
    """
    if everywhere:
        connection.execute("forget_bursts", **_lists(everywhere))
    if judged:
        names = ("session_ids", "channel_ids", "messages")
        columns = map(list, zip(*sorted(judged), strict=True))
        connection.execute("forget_bursts_of", **dict(zip(names, columns, strict=True)))
    if rows:
        connection.load(SESSION_BURSTS.name, extracted(as_table(SESSION_BURSTS, rows), now))


def flipped_ids(connection: Connection, pair: SessionChannel, before: float, usual: float) -> list[int]:
    """Return the messages that a new usual rate makes candidates, or no longer, ascending.

    Args:
        before: What was usual before.
        usual: What is usual now.
    """
    session_id, channel_id = pair
    found = connection.fetch_arrow(
        "list_flipped",
        session_id=session_id,
        channel_id=channel_id,
        low=min(before, usual),
        high=max(before, usual),
        is_candidate=usual < before,
    )
    return list(map(int, unique_ids(found)))


def neighbour_ids(connection: Connection, places: Places, most_points: int, *, every: bool) -> np.ndarray:
    """Return the messages posted in the minutes that were found whose verdict a burst may decide, int64.

    Args:
        most_points: The most thousandths that a burst adds.
        every: Whether that makes a candidate of any message.
    """
    bounds = {"since": places.since, "until": places.until}
    return _ids(connection.fetch_arrow("list_neighbours", **bounds, most_points=most_points, every=every))


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


def replace_signals(connection: Connection, wanted: pa.Table, *, now: datetime) -> Changes:
    """Make the rows of the staged messages what they should be, writing only what differs.

    Args:
        wanted: All rows that they should have, of the columns of `highlight_signals`.
        now: `extracted_at` of rows that are written, aware UTC.
    """
    table = HIGHLIGHT_SIGNALS.name
    stored = connection.fetch_one("any_signals")
    if not (stored and stored["any_content"]):
        if len(wanted):
            connection.load(table, extracted(wanted, now))
        return Changes(created=tuple(unique_ids(wanted).tolist()), rows=len(wanted))
    connection.stage_like("wanted_signals", table, wanted)
    found = connection.fetch_arrow("differing_signals")
    differing, had, have = (unique_ids(found, side) for side in (None, "is_stored", "is_wanted"))
    if len(had):
        connection.execute("withdraw_content", {"table": quoted(table)}, discord_ids=had.tolist())
    if len(have):
        connection.execute("insert_signals", discord_ids=have.tolist(), now=now)
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
    return as_numpy(found[name]) if len(found) else np.empty(0, np.int64)
