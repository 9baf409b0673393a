"""Monitored channels that the bot cannot read, and the permissions to grant, from the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from ingest_pipeline.domain.guild import Channel, ChannelAccess
from ingest_pipeline.storage.catalogue.guilds import list_guilds, list_monitored
from ingest_pipeline.storage.engine.database import Connection

_VOICE = frozenset({"voice", "stage"})


@dataclass(frozen=True, slots=True)
class UnreadableChannel:
    """A monitored channel whose history the bot cannot read.

    Attributes:
        channel: The channel.
        guild_name: Its guild.
        remedy: What to do.
    """

    channel: Channel
    guild_name: str
    remedy: str

    def __str__(self) -> str:
        """Name the channel, why, and what to do."""
        return (
            f"#{self.channel.name} ({self.channel.channel_id}) of {self.guild_name} is "
            f"{self.channel.reading_state.value}: {self.remedy}"
        )


def unreadable_channels(connection: Connection) -> list[UnreadableChannel]:
    """Return the monitored channels that the bot was found unable to read, in the guilds it is in."""
    names = {row["guild_id"]: row["name"] for row in list_guilds(connection) if row["left_at"] is None}
    return [
        UnreadableChannel(channel, names[channel.guild_id], remedy)
        for channel in list_monitored(connection)
        if channel.guild_id in names and (remedy := _remedy(channel))
    ]


def _remedy(channel: Channel) -> str | None:
    """Return what makes a channel readable; None for one that is, or that nobody has looked at."""
    match channel.reading_state:
        case ChannelAccess.NO_HISTORY:
            return "grant the bot Read Message History there"
        case ChannelAccess.FORBIDDEN if channel.channel_type == "private_thread":
            return "add the bot to the thread, or grant it Manage Threads in its channel"
        case ChannelAccess.FORBIDDEN:
            connect = ", Connect" if channel.channel_type in _VOICE else ""
            return f"grant the bot View Channel{connect} and Read Message History there"
        case ChannelAccess.MISSING:
            return "it was deleted: remove its id from the guild's patterns if it is one of them"
        case _:
            return None
