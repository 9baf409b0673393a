"""What administrators do to the bot's permissions. Thread-safe.

Every change sends what Discord sends: CHANNEL_UPDATE for an overwrite, GUILD_ROLE_UPDATE for a role, and
THREAD_LIST_SYNC for each channel that comes into view with active threads (Discord API docs, "Threads").
"""

from __future__ import annotations

from ingest_pipeline_tests.fake_discord.events import Event
from ingest_pipeline_tests.fake_discord.state import payloads, permissions
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import Channel, Overwrite


class PermissionActions:
    """Take permissions from the bot and give them back, in one channel or throughout a guild."""

    def __init__(self, state: GuildState) -> None:
        """Act upon ``state``."""
        self._state = state

    def revoke(self, channel_id: int, bits: int = permissions.READ_ONLY) -> None:
        """Deny the bot's role ``bits`` in one channel, by overwrite."""
        self._overwrite(channel_id, allow=0, deny=bits)

    def grant(self, channel_id: int, bits: int = permissions.READ_ONLY) -> None:
        """Allow the bot's role ``bits`` in one channel, by overwrite; undoes ``revoke``."""
        self._overwrite(channel_id, allow=bits, deny=0)

    def set_role(self, guild_id: int, bits: int, *, role_id: int | None = None) -> None:
        """Set all the permission bits of a role (default: the bot's own).

        Args:
            bits: What the role grants from now on.
            role_id: The role; the guild's id is @everyone.
        """
        with self._state.lock:
            guild = self._state.guild(guild_id)
            seen_before = self._visible(guild_id)
            chosen = guild.roles[role_id or guild.bot_role_id]
            chosen.permissions = bits
            role = next(item for item in payloads.roles(guild) if item["id"] == str(chosen.id))
            body = {"guild_id": str(guild_id), "role": role}
            self._state.publish(Event("GUILD_ROLE_UPDATE", body, guild_id))
            self._sync_threads(guild_id, self._visible(guild_id) - seen_before)

    def _overwrite(self, channel_id: int, *, allow: int, deny: int) -> None:
        with self._state.lock:
            channel = self._state.channel(channel_id)
            if channel.thread is not None:
                raise ValueError(f"{channel_id} is a thread: its parent {channel.parent_id} holds overwrites")
            seen_before = self._visible(channel.guild_id)
            role_id = self._state.guild(channel.guild_id).bot_role_id
            rule = channel.overwrites.setdefault(role_id, Overwrite(role_id, for_member=False))
            rule.allow = (rule.allow | allow) & ~deny
            rule.deny = (rule.deny | deny) & ~allow
            body = payloads.channel(self._state, channel_id)
            self._state.publish(Event("CHANNEL_UPDATE", body, channel.guild_id))
            self._sync_threads(channel.guild_id, self._visible(channel.guild_id) - seen_before)

    def _visible(self, guild_id: int) -> set[int]:
        return {item.id for item in self._state.channels_of(guild_id) if self._state.can_view(item)}

    def _sync_threads(self, guild_id: int, channel_ids: set[int]) -> None:
        threads = [thread for thread in self._state.threads_of(guild_id) if _is_active(thread)]
        parents = sorted({thread.parent_id for thread in threads if thread.parent_id in channel_ids})
        if not parents:
            return
        body = {
            "guild_id": str(guild_id),
            "channel_ids": [str(parent_id) for parent_id in parents],
            "threads": [
                payloads.channel(self._state, thread.id) for thread in threads if thread.parent_id in parents
            ],
            "members": [],
        }
        self._state.publish(Event("THREAD_LIST_SYNC", body, guild_id))


def _is_active(channel: Channel) -> bool:
    return channel.thread is not None and not channel.thread.archived
