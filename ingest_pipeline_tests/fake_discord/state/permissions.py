"""Permission bits and Discord's way of resolving them for a member in a channel.

The order (everyone, roles, everyone's overwrite, role overwrites, member overwrite) is that of the Discord
API reference, "Permission Overwrites".
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from ingest_pipeline_tests.fake_discord.state.model import VOICE_KINDS, Channel, Guild

ADMINISTRATOR = 1 << 3
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
READ_MESSAGE_HISTORY = 1 << 16
CONNECT = 1 << 20
MANAGE_THREADS = 1 << 34

READ_ONLY = VIEW_CHANNEL | READ_MESSAGE_HISTORY
"""All that an archiving bot needs in text channels."""

ALL = (1 << 53) - 1


def resolve(guild: Guild, channel: Channel, user_id: int) -> int:
    """Return the permission bits of a member in a channel.

    Args:
        guild: The channel's guild.
        channel: A channel; for a thread pass its parent, which holds the overwrites.
        user_id: Whose permissions; somebody who is no member has none.

    Returns:
        The bits. Without VIEW_CHANNEL none; in voice channels none without CONNECT either.
    """
    member = guild.members.get(user_id)
    if member is None:
        return 0
    role_bits = (guild.roles[role_id].permissions for role_id in member.role_ids)
    bits = reduce(or_, role_bits, guild.roles[guild.id].permissions)
    if user_id == guild.owner_id or bits & ADMINISTRATOR:
        return ALL
    bits = _apply_overwrites(bits, channel, [[guild.id], member.role_ids, [user_id]])
    needed = VIEW_CHANNEL | CONNECT if channel.kind in VOICE_KINDS else VIEW_CHANNEL
    return bits if bits & needed == needed else 0


def _apply_overwrites(bits: int, channel: Channel, tiers: list[list[int]]) -> int:
    for targets in tiers:
        found = [channel.overwrites[target] for target in targets if target in channel.overwrites]
        bits &= ~reduce(or_, (overwrite.deny for overwrite in found), 0)
        bits |= reduce(or_, (overwrite.allow for overwrite in found), 0)
    return bits
