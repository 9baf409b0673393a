"""What gateway events mean for the archive: messages, deletions, and messages to read again.

Frames come from the spool as they were received. Nothing here fails on a frame: one that cannot be
understood is counted. Discord's events: https://docs.discord.com/developers/events/gateway-events
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from ingest_pipeline.capture.discord_payloads import Payload, is_whole, raw_message
from ingest_pipeline.capture.spool import Record
from ingest_pipeline.documents import Provenance, Tally, normalised_rows, rows_table
from ingest_pipeline.domain.normalize import ChannelPolicy, Row, build_normaliser
from ingest_pipeline.domain.session import Session
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.domain.window import Window
from ingest_pipeline.storage.messages import Tombstone

SOURCE = "gateway"
REACTIONS = frozenset(
    {
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "MESSAGE_REACTION_REMOVE_ALL",
        "MESSAGE_REACTION_REMOVE_EMOJI",
    }
)
MESSAGES = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})
DELETES = frozenset({"MESSAGE_DELETE", "MESSAGE_DELETE_BULK"})
CAPTURED = MESSAGES | DELETES | REACTIONS


def correlation_of(guild_id: int | None, message_id: int) -> str:
    """Return the correlation id of a message's whole journey: the same wherever it is computed."""
    return f"{guild_id or 0}-{message_id}"


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """A whole message in an event."""

    payload: Payload
    received_at: datetime


@dataclass(frozen=True, slots=True)
class UnsureMessage:
    """A message of which an event tells that it changed, and not everything that it is now."""

    channel_id: int
    message_id: int


@dataclass(slots=True)
class Events:
    """What a stretch of the spool holds.

    Attributes:
        received: Frames looked at.
        messages: Whole messages by guild and channel.
        deletions: Deleted messages.
        unsure: Messages to read again.
        skipped: Frames without effect by reason: `malformed`, `not_monitored`.
    """

    received: int = 0
    messages: dict[tuple[int | None, int], list[SeenMessage]] = field(default_factory=dict)
    deletions: list[Tombstone] = field(default_factory=list)
    unsure: set[UnsureMessage] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)


class _Frame(msgspec.Struct):
    t: str | None = None
    d: Any = None


_DECODER = msgspec.json.Decoder(_Frame)


def interpret(records: Iterable[Record], is_monitored: Callable[[int], bool]) -> Events:
    """Sort spooled frames by what they mean.

    Args:
        records: Frames, in the order they were received.
        is_monitored: Whether a channel's messages are wanted.
    """
    events = Events()
    for record in records:
        events.received += 1
        try:
            frame = _DECODER.decode(record.event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            events.skipped["malformed"] += 1
            continue
        channel_id = parse_snowflake(frame.d.get("channel_id")) if isinstance(frame.d, dict) else None
        if channel_id is None or frame.t is None:
            events.skipped["malformed"] += 1
        elif not is_monitored(channel_id):
            events.skipped["not_monitored"] += 1
        elif not _sort_in(events, frame.t, frame.d, channel_id, record.received_at):
            events.skipped["malformed"] += 1
    return events


def _sort_in(events: Events, kind: str, data: Payload, channel_id: int, received_at: datetime) -> bool:
    guild_id = parse_snowflake(data.get("guild_id"))
    if kind in MESSAGES:
        return _sort_message(events, kind, data, (guild_id, channel_id), received_at)
    if kind in REACTIONS:
        ids = [parse_snowflake(data.get("message_id"))]
        events.unsure.update(UnsureMessage(channel_id, each) for each in ids if each)
        return None not in ids
    listed = data.get("ids") if kind == "MESSAGE_DELETE_BULK" else [data.get("id")]
    ids = [parse_snowflake(each) for each in listed] if isinstance(listed, list) else [None]
    events.deletions.extend(
        Tombstone(each, channel_id, guild_id, received_at, SOURCE, correlation_of(guild_id, each))
        for each in ids
        if each
    )
    return None not in ids


def _sort_message(
    events: Events, kind: str, data: Payload, place: tuple[int | None, int], received_at: datetime
) -> bool:
    """Take a whole message; note one that must be read again to be known whole.

    An update may leave out what has not changed, reactions above all. An edit's text is taken at
    once all the same, so that it is not lost when the message can no longer be read.
    """
    message_id = parse_snowflake(data.get("id"))
    if message_id is None:
        return False
    whole = is_whole(data)
    if kind == "MESSAGE_UPDATE" and not (whole and "reactions" in data):
        events.unsure.add(UnsureMessage(place[1], message_id))
        if not (whole and data.get("edited_timestamp")):
            return True
    if whole:
        events.messages.setdefault(place, []).append(SeenMessage(data, received_at))
    return whole


@dataclass(frozen=True, slots=True)
class GatewayDocument:
    """One channel's messages out of a stretch of the spool; each has its own time and journey.

    Attributes:
        channel_id: The channel.
        guild_id: Its guild.
        messages: What was seen, in the order it was received.
        policy: How the channel's messages are taken.
        sessions: Sessions the channel belongs to, the earliest first.
        provenance: What the report of the batch carries.
    """

    channel_id: int
    guild_id: int | None
    messages: Sequence[SeenMessage]
    policy: ChannelPolicy
    sessions: Sequence[Session]
    provenance: Provenance
    window: Window | None = None
    complete: bool = False

    def batches(self, tally: Tally) -> Iterator[pa.Table]:
        """See `Document`."""
        normalise = build_normaliser(self.channel_id, self.policy, None)
        rows: list[Row] = []
        times: list[datetime] = []
        for seen in self.messages:
            made = normalised_rows(normalise, [raw_message(seen.payload)], tally)
            rows.extend(made)
            times.extend([seen.received_at] * len(made))
        if rows:
            yield rows_table(
                rows,
                {
                    "session_id": [self._session_at(row[1]) for row in rows],
                    "guild_id": self.guild_id,
                    "channel_id": self.channel_id,
                    "source": SOURCE,
                    "observed_at": times,
                    "correlation_id": [correlation_of(self.guild_id, row[0]) for row in rows],
                },
            )

    def _session_at(self, posted_at: datetime) -> str | None:
        return next((s.session_id for s in self.sessions if posted_at in s.window), None)
