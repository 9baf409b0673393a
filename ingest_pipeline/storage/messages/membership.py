"""Stored session membership, kept equal to the function in `domain/sessions/membership.py`.

A merge looks its messages' sessions up (`sessions_at`); every change of sessions, or of the parent of a
thread, has the rows that it concerns written again (`relink`). A merge shares the sessions with other
merges and a change of them has them to itself, so on PostgreSQL too none works with sessions that another
transaction is about to change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ingest_pipeline.domain.sessions.membership import Claim, Span, spans_of
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.storage.engine.columns import as_numpy, column, in_one_piece
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import note_erased_threads
from ingest_pipeline.storage.gateway.dirty_windows import WHOLE_SESSION, DirtyWindow, mark_windows_dirty
from ingest_pipeline.storage.messages.changes import ChangeKind, record_changes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""All time, as far as messages go."""


class ChannelTime(NamedTuple):
    """A range `[start, end)`, aware UTC, of a channel's time."""

    channel_id: int
    start: datetime
    end: datetime


def share_sessions(connection: Connection) -> None:
    """Keep the sessions from changing until the transaction ends; first of all locks it takes."""
    connection.execute("share_sessions")


def sessions_at(connection: Connection, channel_ids: pa.Array, posted_at: pa.Array) -> pa.Array:
    """Return the session that each of some messages belongs to.

    Args:
        connection: An open write transaction that shares the sessions.
        channel_ids: The messages' channels, int64.
        posted_at: When they were posted, `timestamp[us, UTC]`.

    Returns:
        Session ids, null for none.
    """
    channels, moments = as_numpy(channel_ids), as_numpy(posted_at)
    since, until = (_EPOCH + int(each) * _MICROSECOND for each in (moments.min(), moments.max()))
    spans = _spans(connection, np.unique(channels).tolist(), since, until)
    owners = np.full(len(channels), None)
    for channel_id, owned in spans.items():
        starts = np.array([_microseconds(span.start) for span in owned])
        ends = np.array([_microseconds(span.end) for span in owned])
        mine = np.flatnonzero(channels == channel_id)
        at = np.searchsorted(starts, moments[mine], side="right") - 1
        is_owned = (at >= 0) & (moments[mine] < ends[at])
        names = np.array([span.session_id for span in owned], object)
        owners[mine[is_owned]] = names[at[is_owned]]
    return column(owners.tolist(), pa.string())


def link_merged(connection: Connection, *, now: datetime) -> None:
    """Link the messages of a merge that were there already, or were laid out, where that is not so yet.

    Args:
        connection: The transaction of the merge.
        now: Time of the merge, aware UTC.
    """
    merged = connection.fetch_arrow("list_merged").combine_chunks()
    if not merged.num_rows:
        return
    parts = [in_one_piece(merged[name]) for name in ("channel_id", "posted_at")]
    merged = merged.append_column("owner", sessions_at(connection, *parts))
    # A time that becomes an object imports pandas, once for each process.
    sides = merged.select(["discord_id", "owner", "session_id", "is_moved"])
    wrong = [row for row in sides.to_pylist() if row["owner"] != row["session_id"]]
    if wrong:
        discord_ids, owners = [row["discord_id"] for row in wrong], [row["owner"] for row in wrong]
        connection.execute("link_some", discord_ids=discord_ids, session_ids=owners)
        # Others are new rows, whose sessions are as changed as by any other message.
        moved = {row[name] for row in wrong if row["is_moved"] for name in ("owner", "session_id")} - {None}
        if moved:
            connection.execute("note_members_changed", session_ids=sorted(moved), now=now)


def relink(
    connection: Connection,
    ranges: Iterable[ChannelTime],
    *,
    now: datetime,
    session_ids: Collection[str] = (),
) -> None:
    """Write the sessions of all messages in some channels' time, and in that of the channels' threads.

    What hangs on them is noted in the same transaction: messages whose content is to be read again
    (`relinked_messages`), the sessions' windows, and when their messages became others.

    Args:
        connection: An open write transaction that has the sessions to itself.
        ranges: Where sessions have changed: as they were and as they are.
        now: Time of the change, aware UTC.
        session_ids: Sessions whose values have changed, whether or not their messages have.
    """
    connection.execute("find_mislinked", **_pieces(connection, ranges))
    connection.execute("link_mislinked")
    moved = [row["discord_id"] for row in connection.fetch_all("list_mislinked")]
    record_changes(connection, ChangeKind.SESSION, moved, now=now)
    found = [row["session_id"] for row in connection.fetch_all("list_relinked_sessions")]
    concerned = sorted({*session_ids, *found})
    connection.execute("note_relinked", session_ids=concerned)
    connection.execute("drop_mislinked")
    # What is usual in a session is worked out again from the messages that it has.
    connection.execute("forget_session_rates", session_ids=concerned)
    if found:
        connection.execute("note_members_changed", session_ids=found, now=now)
        mark_windows_dirty(connection, [DirtyWindow(each, WHOLE_SESSION) for each in found], now=now)


def relinked_messages(connection: Connection, limit: int) -> list[int]:
    """Return messages whose content is to be read again as their session is another now."""
    return [row["discord_id"] for row in connection.fetch_all("list_relinked", maximum=limit)]


def forget_relinked(connection: Connection, discord_ids: Collection[int]) -> None:
    """Forget messages whose content was read again, in the transaction that did so."""
    connection.execute("forget_relinked", discord_ids=list(discord_ids))


def members_changed(connection: Connection, session_ids: Collection[str]) -> dict[str, datetime]:
    """Return when messages last became those of sessions, or ceased to be, without being read (aware UTC).

    Sessions to which that never happened are left out.
    """
    rows = connection.fetch_all("members_changed", session_ids=list(session_ids))
    return {row["session_id"]: row["members_changed_at"] for row in rows}


def parents_of(connection: Connection, channel_ids: Collection[int]) -> dict[int, int]:
    """Return the parents of those channels that are known as threads, by thread."""
    rows = connection.fetch_all("list_parents", channel_ids=list(channel_ids)) if channel_ids else []
    return {row["thread_id"]: row["parent_id"] for row in rows}


def count_mislinked(connection: Connection, session: Session | None = None) -> int:
    """Count the messages whose session is not the one that the function gives; 0 is right.

    Args:
        session: Look only at the messages that the session takes or has; all by default.
    """
    session_id = session.session_id if session else None
    ranges = times_of(session) if session else []
    for row in connection.fetch_all("list_member_times", session_id=session_id):
        ranges.append(ChannelTime(row["channel_id"], row["first_at"], row["last_at"] + _MICROSECOND))
    counted = connection.fetch_one("count_mislinked", **_pieces(connection, ranges)) or {"n": 0}
    return int(counted["n"])


def times_of(session: Session) -> list[ChannelTime]:
    """Return the time that a session takes of each of its channels; none when it is cancelled."""
    if session.is_cancelled:
        return []
    return [ChannelTime(each, session.start_time, session.end_time) for each in session.channel_ids]


def keep_parents(connection: Connection, parents: Mapping[int, int], *, now: datetime) -> None:
    """Keep the parents of threads, and link the messages of threads whose parent was not known.

    Args:
        connection: An open write transaction; call this before anything that shares the sessions.
        parents: Thread id → id of its channel or forum. Threads never move.
        now: Time of the change, aware UTC.
    """
    if not parents:
        return
    parameters = {"thread_ids": list(parents), "parent_ids": list(parents.values())}
    if not connection.fetch_all("unknown_parents", **parameters):
        return
    connection.execute("lock_sessions")
    new = [row["thread_id"] for row in connection.fetch_all("unknown_parents", **parameters)]
    connection.execute("keep_parents", **parameters)
    note_erased_threads(connection, {each: parents[each] for each in new}, now=now)
    relink(connection, [ChannelTime(thread_id, *EVER) for thread_id in new], now=now)


def threads_of(connection: Connection, channel_ids: Collection[int]) -> list[int]:
    """Return the known threads of some channels."""
    rows = connection.fetch_all("list_threads", channel_ids=list(channel_ids))
    return sorted(row["thread_id"] for row in rows)


def claims_between(
    connection: Connection, channel_ids: Collection[int], since: datetime, until: datetime
) -> dict[int, list[Claim]]:
    """Return what sessions claim of some time of `[since, until]` (aware UTC), by channel or thread.

    Channels that no session takes messages of are left out.
    """
    claims: dict[int, list[Claim]] = {}
    # One statement: each more would be felt in a small merge.
    rows = connection.fetch_all("sessions_between", channel_ids=list(channel_ids), since=since, until=until)
    parents = {row["thread_id"]: row["parent_id"] for row in rows if row["session_id"] is None}
    for row in rows:
        if row["session_id"] is None:
            continue
        claim, holders = Claim(row["start_time"], row["session_id"], row["end_time"]), set(row["channel_ids"])
        for channel_id in channel_ids:
            if channel_id in holders or parents.get(channel_id) in holders:
                claims.setdefault(channel_id, []).append(claim)
    return claims


def _spans(
    connection: Connection, channel_ids: Collection[int], since: datetime, until: datetime
) -> dict[int, list[Span]]:
    """Return who owns the time of each channel that any session takes messages of."""
    claims = claims_between(connection, channel_ids, since, until)
    return {channel_id: spans_of(each) for channel_id, each in claims.items()}


def _pieces(connection: Connection, ranges: Iterable[ChannelTime]) -> dict[str, list[Any]]:
    """Cut some channels' time, and that of their threads, into pieces of one session or of none each.

    Returns:
        `channel_ids`, `starts`, `ends` and `session_ids`, a value for each piece. No message is in two.
    """
    concerned = list(_joined(_with_threads(connection, list(ranges))))
    pieces: list[tuple[int, datetime, datetime, str | None]] = []
    if concerned:
        since, until = min(each.start for each in concerned), max(each.end for each in concerned)
        owned = _spans(connection, sorted({each.channel_id for each in concerned}), since, until)
        for channel_id, start, end in concerned:
            at = start
            for span in owned.get(channel_id, ()):
                if span.end > at and span.start < end:
                    pieces.append((channel_id, at, max(span.start, at), None))
                    pieces.append((channel_id, max(span.start, at), min(span.end, end), span.session_id))
                    at = min(span.end, end)
            pieces.append((channel_id, at, end, None))
    names = ("channel_ids", "starts", "ends", "session_ids")
    # Pieces without length, between spans that adjoin, hold nothing.
    columns = zip(*(piece for piece in pieces if piece[1] < piece[2]), strict=True)
    return dict(zip(names, map(list, columns), strict=False)) or {name: [] for name in names}


def _with_threads(connection: Connection, ranges: list[ChannelTime]) -> list[ChannelTime]:
    channel_ids = sorted({each.channel_id for each in ranges})
    threads: dict[int, list[int]] = {}
    for row in connection.fetch_all("list_threads", channel_ids=channel_ids):
        threads.setdefault(row["parent_id"], []).append(row["thread_id"])
    return ranges + [
        each._replace(channel_id=thread_id)
        for each in ranges
        for thread_id in threads.get(each.channel_id, ())
    ]


def _joined(ranges: list[ChannelTime]) -> Iterator[ChannelTime]:
    """Join what overlaps or adjoins, so that no message is in two ranges."""
    for channel_id, mine in groupby(sorted(ranges), key=itemgetter(0)):
        start, end = None, None
        for each in mine:
            if start is None or end is None:
                start, end = each.start, each.end
            elif each.start <= end:
                end = max(end, each.end)
            else:
                yield ChannelTime(channel_id, start, end)
                start, end = each.start, each.end
        if start is not None and end is not None:
            yield ChannelTime(channel_id, start, end)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
