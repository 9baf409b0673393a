"""The watchlist: channels named by patterns, and channels of stored sessions.

The answer is needed for each frame, so it is kept in memory: read from the catalogue, and added to
the moment the gateway tells of a new channel or thread, whose first messages follow at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ingest_pipeline.domain.guild import Channel, monitored_ids
from ingest_pipeline.domain.session import Session
from ingest_pipeline.storage.catalogue.guilds import list_channels, list_guilds, list_monitors
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.sessions import list_sessions


@dataclass(frozen=True, slots=True)
class CatalogueView:
    """What the catalogue holds that decides what is watched.

    Attributes:
        channels: Every channel and thread by id.
        patterns: Each guild's patterns; guilds that were left are not there.
        sessions: All sessions, the earliest first.
    """

    channels: dict[int, Channel] = field(default_factory=dict)
    patterns: dict[int, list[str]] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()


def view_catalogue(connection: Connection) -> CatalogueView:
    """Read what decides what is watched."""
    present = [row["guild_id"] for row in list_guilds(connection) if row["left_at"] is None]
    return CatalogueView(
        channels={channel.channel_id: channel for channel in list_channels(connection)},
        patterns={guild_id: list_monitors(connection, guild_id) for guild_id in present},
        sessions=tuple(list_sessions(connection)),
    )


class Watchlist:
    """The channels that are watched now. Read from any thread; changed from the event loop alone."""

    def __init__(self) -> None:
        """Begin knowing nothing: every channel might be wanted."""
        self._view = CatalogueView()
        self._received: dict[int, Channel] = {}
        self._wanted: frozenset[int] = frozenset()
        self._monitored: frozenset[int] = frozenset()

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All sessions, the earliest first."""
        return self._view.sessions

    def wants(self, channel_id: int) -> bool:
        """Tell whether a channel's messages are taken."""
        return channel_id in self._wanted

    def may_want(self, channel_id: int) -> bool:
        """Tell whether a channel's messages are taken, or the channel is not known yet."""
        return channel_id in self._wanted or channel_id not in self._view.channels

    def is_monitored(self, channel_id: int) -> bool:
        """Tell whether a channel is taken for a pattern's sake, and so expected whole."""
        return channel_id in self._monitored

    def channels(self) -> list[Channel]:
        """Return the watched channels and threads that hold messages."""
        known = (self._view.channels.get(channel_id) for channel_id in sorted(self._wanted))
        return [channel for channel in known if channel is not None and channel.holds_messages]

    def with_threads(self, channel_ids: Iterable[int]) -> set[int]:
        """Return those of some channels that are watched, with their watched threads."""
        asked = set(channel_ids)
        return {
            channel.channel_id
            for channel in self.channels()
            if channel.channel_id in asked or (channel.is_thread and channel.parent_id in asked)
        }

    def replace(self, view: CatalogueView) -> set[int]:
        """Take over a fresh view and return the channels that are wanted now and were not before.

        Channels that the gateway told of and that the view does not have yet are kept.
        """
        self._received = {key: channel for key, channel in self._received.items() if key not in view.channels}
        return self._take(CatalogueView({**view.channels, **self._received}, view.patterns, view.sessions))

    def learn(self, channels: Iterable[Channel]) -> set[int]:
        """Take over channels that the gateway told of; return those that are wanted and were not before."""
        received = {channel.channel_id: channel for channel in channels}
        changed = {
            channel_id: channel
            for channel_id, channel in received.items()
            if _place(self._view.channels.get(channel_id)) != _place(channel)
        }
        if not changed:
            return set()
        self._received |= changed
        known = self._view.channels | changed
        return self._take(CatalogueView(known, self._view.patterns, self._view.sessions))

    def _take(self, view: CatalogueView) -> set[int]:
        before = self._wanted
        monitored: set[int] = set()
        for guild_id, patterns in view.patterns.items():
            own = [channel for channel in view.channels.values() if channel.guild_id == guild_id]
            monitored |= monitored_ids(own, patterns) if patterns else set()
        in_sessions = {channel_id for session in view.sessions for channel_id in session.channel_ids}
        # Assigned in this order: whoever asks in between takes a frame too many and none too few.
        self._wanted = frozenset(monitored | in_sessions)
        self._monitored = frozenset(monitored)
        self._view = view
        return set(self._wanted - before)


def _place(channel: Channel | None) -> tuple[str, int | None] | None:
    """Return what decides whether a channel is monitored."""
    return None if channel is None else (channel.name, channel.parent_id)
