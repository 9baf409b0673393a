"""The facts of a session's report, read from the database in one snapshot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median, quantiles
from typing import Any

from ingest_pipeline.content.found import find_content
from ingest_pipeline.content.kind import Kind
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.messages.mentions import Names, readable
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.monitoring.status import bot_status
from ingest_pipeline.storage.catalogue.names import names_in
from ingest_pipeline.storage.content.queries import (
    ContentFilter,
    arrivals_in_window,
    clips_in_window,
    count_content,
    count_cut_in_window,
    highlights_in_window,
    radio_in_window,
    setups_in_window,
    unparsed_in_window,
)
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.coverage import gaps
from ingest_pipeline.storage.messages.deletions import count_in_window, messages_per_minute
from ingest_pipeline.storage.messages.manifests import newest_manifests
from ingest_pipeline.storage.messages.membership import threads_of

TOP_HIGHLIGHTS = 12
SHOWN_CONTENT = 20
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Talk:
    """The number of radio messages of a driver.

    Attributes:
        driver: The full name, or for a driver nobody knows the name as written.
        team: The team, or None for an unknown driver and for one without a car.
        messages: How often.
        is_known: Whether the driver table has the driver.
    """

    driver: str
    team: str | None
    messages: int
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Highlight:
    """A message that stands out.

    Attributes:
        posted_at: When, aware UTC.
        who: The driver, or else the author.
        text: The words.
        score: Its score.
        reasons: Why, one line each.
        url: Where to read it on Discord.
    """

    posted_at: datetime
    who: str
    text: str
    score: float
    reasons: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class FoundContent:
    """What messages hold of a kind of content that has no section of its own.

    Attributes:
        title: Its heading.
        columns: Names of what is shown.
        rows: The newest of them, `posted_at` (aware UTC) first.
        messages: How many messages hold any.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    messages: int


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The facts of a session's report.

    Attributes:
        span: From its start to its end, or to now while it is live.
        now: When this was read, aware UTC.
        minutes: Live messages by UTC minute; minutes without any are left out.
        gaps: Time ranges without proof that they are complete, joined over all channels.
        talks: Drivers by messages, the most frequent first; without those that are not counted.
        cut: Messages with more words than are kept.
        uncounted: What stands in a driver's place in channels that count known drivers only, the most
            frequent first.
        latencies_seconds: From posting to the table, of messages that came while the session was live or
            soon after; messages that a later import brought are no measure of live delay.
        later: How many messages came with a later import.
        highlights: The candidates with the highest scores.
        candidates: How many candidates there are.
        setups: Planned trades by ticker.
        unparsed_lines: Lines of trade setups that could not be read.
        clips: Videos.
        in_threads: Messages of the channels' threads, which nothing else counts.
        awaits_threads: Whether the channels' threads are still to be read: no bot hears them, and the session
            is not sealed.
        contents: What messages hold of further kinds of content.
    """

    session: Session
    span: Window
    now: datetime
    minutes: tuple[tuple[datetime, int], ...]
    gaps: tuple[Window, ...]
    talks: tuple[Talk, ...]
    latencies_seconds: tuple[float, ...]
    later: int
    highlights: tuple[Highlight, ...]
    candidates: int
    setups: tuple[tuple[str, int], ...]
    unparsed_lines: int
    clips: int
    uncounted: tuple[str, ...] = ()
    cut: int = 0
    in_threads: int = 0
    awaits_threads: bool = False
    contents: tuple[FoundContent, ...] = ()

    @property
    def messages(self) -> int:
        """Live messages in all."""
        return sum(count for _, count in self.minutes)

    @property
    def is_proven(self) -> bool:
        """Whether the ledger proves the whole span complete."""
        return not self.gaps

    @property
    def median_latency_seconds(self) -> float | None:
        """The median of the latencies; None without any."""
        return median(self.latencies_seconds) if self.latencies_seconds else None

    @property
    def slow_latency_seconds(self) -> float | None:
        """The latency that 95 of 100 messages stay below; None with fewer than two."""
        if len(self.latencies_seconds) < 2:
            return None
        return quantiles(self.latencies_seconds, n=20, method="inclusive")[-1]


def read_facts(
    connection: Connection,
    session: Session,
    now: datetime,
    *,
    live_within: timedelta,
    settings: Mapping[int, EffectiveSettings],
    kinds: Sequence[Kind] = (),
) -> SessionFacts:
    """Read the facts of a report.

    Args:
        live_within: Messages that came into the table within this time after being posted count as live.
        settings: By channel, whether it counts known drivers only.
        kinds: Kinds of content; those with a title get a section.
    """
    end = min(session.end_time, max(now, session.start_time + timedelta(minutes=1)))
    span, channels = Window(session.start_time, end), session.channel_ids
    arrivals = arrivals_in_window(connection, channels, span)
    delays = [(row["created_at"] - row["posted_at"]).total_seconds() for row in arrivals]
    live = tuple(max(delay, 0.0) for delay in delays if delay <= live_within.total_seconds())
    stood_out = [row for row in highlights_in_window(connection, channels, span) if row["is_candidate"]]
    names = names_in(connection, [row["message_text"] for row in stood_out[:TOP_HIGHLIGHTS]])
    setups = Counter(row["ticker"] for row in setups_in_window(connection, channels, span))
    radio = radio_in_window(connection, channels, span)
    counted: list[dict[str, Any]] = []
    uncounted: list[dict[str, Any]] = []
    for row in radio:
        is_counted = row["driver_code"] or not settings[row["channel_id"]].known_drivers_only
        (counted if is_counted else uncounted).append(row)
    return SessionFacts(
        session=session,
        span=span,
        now=now,
        minutes=tuple(messages_per_minute(connection, channels, span)),
        gaps=tuple(_unproven(connection, channels, span)),
        talks=tuple(_talks(counted)),
        latencies_seconds=live,
        later=len(delays) - len(live),
        highlights=tuple(_highlight(row, names) for row in stood_out[:TOP_HIGHLIGHTS]),
        candidates=len(stood_out),
        setups=tuple(sorted(setups.items(), key=lambda item: (-item[1], item[0]))),
        unparsed_lines=len(unparsed_in_window(connection, channels, span)),
        clips=len(clips_in_window(connection, channels, span)),
        cut=count_cut_in_window(connection, channels, span),
        in_threads=_in_threads(connection, channels, span),
        awaits_threads=not (
            bot_status(connection, now).state.is_running or newest_manifests(connection, session.session_id)
        ),
        uncounted=tuple(talk.driver for talk in _talks(uncounted)),
        contents=tuple(_content(connection, kind, session) for kind in kinds if kind.title),
    )


def _in_threads(connection: Connection, channel_ids: Sequence[int], span: Window) -> int:
    threads = threads_of(connection, channel_ids)
    return count_in_window(connection, threads, span) if threads else 0


def _content(connection: Connection, kind: Kind, session: Session) -> FoundContent:
    wanted = ContentFilter(SHOWN_CONTENT, session.session_id)
    columns = ("posted_at", *(kind.shows or kind.table.columns.names[1:]))
    rows = find_content(connection, kind, wanted)
    return FoundContent(
        title=kind.title,
        columns=columns,
        rows=tuple(tuple(row[name] for name in columns) for row in rows),
        messages=count_content(connection, kind.table, session.session_id) if rows else 0,
    )


def _unproven(connection: Connection, channels: Sequence[int], span: Window) -> list[Window]:
    """Return the ranges that some channel has no proof for, in order, joined where they touch."""
    found = sorted(
        (created_at(low + 1), created_at(high) + _MILLISECOND)
        for channel_id in channels
        for low, high in gaps(connection, channel_id, span.low, span.high)
    )
    joined: list[Window] = []
    for start, end in found:
        if joined and start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, end))
        else:
            joined.append(Window(start, end))
    return joined


def _talks(radio: Sequence[dict[str, Any]]) -> list[Talk]:
    """Count messages by driver; the team is the one of all of the driver's messages, if there is one."""
    by_driver: dict[tuple[str, bool], list[str | None]] = {}
    for row in radio:
        key = row["driver_name"] or row["driver"], row["driver_code"] is not None
        by_driver.setdefault(key, []).append(row["driver_team"])
    talks = [
        Talk(driver, teams[0] if len(set(teams)) == 1 else None, len(teams), is_known)
        for (driver, is_known), teams in by_driver.items()
    ]
    return sorted(talks, key=lambda talk: (-talk.messages, talk.driver))


def _highlight(row: dict[str, Any], names: Names) -> Highlight:
    # Discord's own form of a link to a message; "@me" stands where there is no guild.
    guild = row["guild_id"] or "@me"
    return Highlight(
        posted_at=row["posted_at"],
        who=row["driver_name"] or row["driver"] or row["author_name"] or "",
        text=readable(row["message_text"], names),
        score=row["score"],
        reasons=tuple(json.loads(row["reasons"])),
        url=f"https://discord.com/channels/{guild}/{row['channel_id']}/{row['discord_id']}",
    )
