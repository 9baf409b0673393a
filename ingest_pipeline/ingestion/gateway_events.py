"""Batches of gateway events: documents, deletions and touched windows made of frames.

Frames come from the spool as they were received. Nothing here fails on a frame: one that cannot be
understood is counted, and where it names its message or channel, that is read again.

An event shows a message as it was when Discord sent it, and events may come late, twice and in any
order. Edits are ordered by their own time, deletions are final and a creation is the first version
there is. Everything else that changes a message (previews, pins, reactions) comes without an order,
so a message it happened to is read again once it is quiet: the reading is newer than all of them.
Discord's events: https://docs.discord.com/developers/events/gateway-events
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from ingest_pipeline.domain.messages.details import Payload
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import created_at, parse_snowflake
from ingest_pipeline.domain.window import Window, WindowGrid
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, correlation_of
from ingest_pipeline.landing.erasure.readings import ChannelRef
from ingest_pipeline.landing.raw_reading import RawReading
from ingest_pipeline.landing.spool import Record
from ingest_pipeline.sources.discord.payloads import is_whole
from ingest_pipeline.storage.gateway.dirty_windows import DirtyWindow
from ingest_pipeline.storage.gateway.refetch_queue import PartialUpdate
from ingest_pipeline.storage.messages.deletions import Tombstone

SOURCE = "gateway"
REACTIONS = frozenset(
    {
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "MESSAGE_REACTION_REMOVE_ALL",
        "MESSAGE_REACTION_REMOVE_EMOJI",
    }
)
CREATION = "MESSAGE_CREATE"
MESSAGES = frozenset({CREATION, "MESSAGE_UPDATE"})
DELETES = frozenset({"MESSAGE_DELETE", "MESSAGE_DELETE_BULK"})
CAPTURED = MESSAGES | DELETES | REACTIONS
LANDED = MESSAGES | DELETES
"""Events that are kept as they came. A reaction has no words, and its message is read again."""

_INSTANT = timedelta(microseconds=1)


@dataclass(slots=True)
class Events:
    """The content of a range of the spool.

    Attributes:
        received: Frames looked at.
        messages: Whole messages by guild and channel, in the order they were received.
        deletions: Deleted messages.
        partial_updates: Messages to read again.
        channels_to_rescan: Channels in which something happened to messages that a frame failed to name.
        skipped: Frames without effect by reason: `malformed`, `not_monitored`.
    """

    received: int = 0
    messages: dict[ChannelRef, list[ObservedMessage]] = field(default_factory=dict)
    deletions: list[Tombstone] = field(default_factory=list)
    partial_updates: set[PartialUpdate] = field(default_factory=set)
    channels_to_rescan: set[int] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def message_ids(self) -> set[int]:
        """Every message that an event is about."""
        seen = {each.message_id for messages in self.messages.values() for each in messages}
        return (
            seen
            | {each.discord_id for each in self.deletions}
            | {each.message_id for each in self.partial_updates}
        )

    @property
    def created_ids(self) -> set[int]:
        """Messages of which the creation is among the events."""
        return {
            each.message_id for messages in self.messages.values() for each in messages if each.is_creation
        }

    @property
    def newest_ids(self) -> dict[int, int]:
        """The newest message of each channel that a whole message was seen in."""
        newest: dict[int, int] = {}
        for (_, channel_id), messages in self.messages.items():
            newest[channel_id] = max(newest.get(channel_id, 0), *(each.message_id for each in messages))
        return newest


class _Frame(msgspec.Struct):
    t: str | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


_DECODER = msgspec.json.Decoder(_Frame)
_DATA_DECODER = msgspec.json.Decoder()


class _Place(msgspec.Struct):
    channel_id: str | int | None = None
    guild_id: str | int | None = None


_PLACE_DECODER = msgspec.json.Decoder(_Place)


def raw_readings(
    records: Iterable[Record], is_monitored: Callable[[int], bool]
) -> dict[ChannelRef, list[RawReading]]:
    """Return what is kept of spooled frames as they came, by channel: messages and deletions.

    Args:
        records: Frames, in the order they were received.
        is_monitored: Whether a channel's messages are wanted.
    """
    found: dict[ChannelRef, list[RawReading]] = {}
    for record in records:
        try:
            frame = _DECODER.decode(record.event)
            place = _PLACE_DECODER.decode(frame.d)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        channel_id = parse_snowflake(place.channel_id)
        if frame.t in LANDED and channel_id is not None and is_monitored(channel_id):
            reading = RawReading(record.received_at, SOURCE, frame.t, frame.d)
            found.setdefault((parse_snowflake(place.guild_id), channel_id), []).append(reading)
    return found


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
            data = _DATA_DECODER.decode(frame.d)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            events.skipped["malformed"] += 1
            continue
        channel_id = parse_snowflake(data.get("channel_id")) if isinstance(data, dict) else None
        if channel_id is None or frame.t is None:
            events.skipped["malformed"] += 1
        elif not is_monitored(channel_id):
            events.skipped["not_monitored"] += 1
        else:
            channel = (parse_snowflake(data.get("guild_id")), channel_id)
            if not _sort_in(events, frame.t, data, channel, record.received_at):
                events.skipped["malformed"] += 1
                events.channels_to_rescan.add(channel_id)
    return events


def _sort_in(events: Events, kind: str, data: Payload, channel: ChannelRef, received_at: datetime) -> bool:
    """Take a frame; return whether it named the messages it is about."""
    if kind in MESSAGES:
        return _sort_message(events, kind, data, channel, received_at)
    if kind in REACTIONS:
        return _note_partial_update(events, channel, data.get("message_id"))
    listed = data.get("ids") if kind == "MESSAGE_DELETE_BULK" else [data.get("id")]
    ids = [parse_snowflake(each) for each in listed] if isinstance(listed, list) else [None]
    guild_id, channel_id = channel
    events.deletions.extend(
        Tombstone(each, channel_id, guild_id, received_at, SOURCE, correlation_of(guild_id, each))
        for each in ids
        if each
    )
    return None not in ids


def _sort_message(
    events: Events, kind: str, data: Payload, channel: ChannelRef, received_at: datetime
) -> bool:
    """Take a whole message; note one that must be read again to be known whole.

    An edit's text is taken at once, so that it is not lost when the message can no longer be read.
    """
    message_id = parse_snowflake(data.get("id"))
    if message_id is None:
        return False
    whole = is_whole(data)
    is_creation = kind == CREATION
    if not (whole and is_creation):
        _note_partial_update(events, channel, message_id)
    if whole and (is_creation or data.get("edited_timestamp")):
        seen = ObservedMessage(message_id, data, received_at, is_creation)
        events.messages.setdefault(channel, []).append(seen)
    elif is_creation:
        events.skipped["malformed"] += 1
    return True


def _note_partial_update(events: Events, channel: ChannelRef, message_id: object) -> bool:
    known = parse_snowflake(message_id)
    if known is not None:
        events.partial_updates.add(PartialUpdate(channel[1], known, channel[0] or 0))
    return known is not None


def sessions_of(channel_id: int, parent_id: int | None, sessions: Sequence[Session]) -> list[Session]:
    """Return the sessions of a channel, or of a thread and its parent, the earliest first."""
    found = [session for session in sessions if {channel_id, parent_id}.intersection(session.channel_ids)]
    return sorted(found, key=lambda session: (session.start_time, session.session_id))


def windows_at(
    moments: Mapping[int, Collection[datetime]],
    parents: Mapping[int, int],
    sessions: Sequence[Session],
    grid: WindowGrid,
) -> set[DirtyWindow]:
    """Return the windows of channels' sessions that some times lie in.

    Args:
        moments: Times, aware UTC, by channel or thread.
        parents: The parents of those that are known as threads.
        grid: The grid of windows.
    """
    return {
        DirtyWindow(session.session_id, key)
        for channel_id, times in moments.items()
        for session in sessions_of(channel_id, parents.get(channel_id), sessions)
        for moment in times
        if moment in session.window
        for key in grid.keys_touching(Window(moment, moment + _INSTANT), session.window)
    }


def windows_of(
    message_ids: Mapping[int, Collection[int]],
    parents: Mapping[int, int],
    sessions: Sequence[Session],
    grid: WindowGrid,
) -> set[DirtyWindow]:
    """Return the windows of channels' sessions that some messages, by channel, were posted in."""
    moments = {channel_id: {created_at(each) for each in ids} for channel_id, ids in message_ids.items()}
    return windows_at(moments, parents, sessions, grid)
