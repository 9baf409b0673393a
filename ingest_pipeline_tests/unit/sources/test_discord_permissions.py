"""What the bot may read, computed from roles and overwrites, compared with discord.py's own answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.guild import ChannelAccess
from ingest_pipeline.sources.discord.discovery import (
    ADMINISTRATOR,
    CONNECT,
    EVERYTHING,
    MANAGE_THREADS,
    READ_MESSAGE_HISTORY,
    VIEW_CHANNEL,
    channel_permissions,
    membership,
    reading_state,
)

NOW = datetime(2026, 5, 24, 13, tzinfo=UTC)
GUILD, CHANNEL, BOT, OWNER = 10, 20, 30, 40
ROLES = (11, 12, 13)
BITS = (ADMINISTRATOR, VIEW_CHANNEL, READ_MESSAGE_HISTORY, CONNECT, MANAGE_THREADS)
READ = VIEW_CHANNEL | READ_MESSAGE_HISTORY

bits = st.sets(st.sampled_from(BITS)).map(sum)
ordinary_bits = st.sets(st.sampled_from(BITS[1:])).map(sum)


@st.composite
def overwrites(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Overwrites of roles and members, each target at most once."""
    targets = draw(st.sets(st.sampled_from((GUILD, *ROLES, BOT, OWNER))))
    return [
        {
            "id": str(target),
            "type": int(target in {BOT, OWNER}),
            "allow": str(draw(ordinary_bits)),
            "deny": str(draw(ordinary_bits)),
        }
        for target in sorted(targets)
    ]


def guild_payload(permissions: dict[int, int], owner_id: int = OWNER) -> dict[str, Any]:
    """Return a guild whose roles grant these bits."""
    roles = [
        {"id": str(role_id), "name": str(role_id), "permissions": str(granted), "position": place}
        for place, (role_id, granted) in enumerate(permissions.items())
    ]
    return {"id": str(GUILD), "name": "Paddock", "owner_id": str(owner_id), "roles": roles}


def member_payload(role_ids: tuple[int, ...] = (), until: datetime | None = None) -> dict[str, Any]:
    """Return the bot's member object."""
    return {
        "user": {"id": str(BOT), "username": "archivist", "discriminator": "0", "avatar": None},
        "roles": [str(role_id) for role_id in role_ids],
        "joined_at": NOW.isoformat(),
        "communication_disabled_until": until.isoformat() if until else None,
        "flags": 0,
    }


def channel_payload(rules: list[dict[str, Any]] | None = None, kind: int = 0) -> dict[str, Any]:
    """Return a channel with overwrites."""
    return {
        "id": str(CHANNEL),
        "guild_id": str(GUILD),
        "type": kind,
        "name": "team-radio",
        "position": 0,
        "bitrate": 64_000,
        "user_limit": 0,
        "permission_overwrites": rules or [],
    }


@given(
    granted=st.fixed_dictionaries({GUILD: bits, **dict.fromkeys(ROLES, bits)}),
    role_ids=st.sets(st.sampled_from(ROLES)).map(tuple),
    rules=overwrites(),
    owner=st.sampled_from((OWNER, BOT)),
    kind=st.sampled_from((0, 2, 5, 13, 15)),
    minutes=st.sampled_from((None, -5, 5)),
)
def test_the_bits_are_those_that_discord_py_computes(
    granted: dict[int, int],
    role_ids: tuple[int, ...],
    rules: list[dict[str, Any]],
    owner: int,
    kind: int,
    minutes: int | None,
) -> None:
    """Roles, three tiers of overwrites, owners, administrators, timeouts and voice all resolve alike."""
    present = datetime.now(UTC)
    until = None if minutes is None else present + timedelta(minutes=minutes)
    guild, member = guild_payload(granted, owner), member_payload(role_ids, until)
    channel = channel_payload(rules, kind)
    state = discord.Client(intents=discord.Intents(guilds=True))._connection
    whole: Any = guild | {"members": [member], "channels": [channel]}
    known = discord.Guild(data=whole, state=state)
    oracle_channel, oracle_member = known.get_channel(CHANNEL), known.get_member(BOT)
    assert oracle_channel is not None
    if oracle_member is None:
        oracle_member = discord.Member(data=whole["members"][0], guild=known, state=state)
    oracle = oracle_channel.permissions_for(oracle_member)

    computed = channel_permissions(membership(guild, member, BOT, present), channel)

    needed = VIEW_CHANNEL | (CONNECT if kind in {2, 13} else 0)
    compared = READ | MANAGE_THREADS
    expected = oracle.value & compared if oracle.value & needed == needed else 0
    assert computed & compared == expected


def test_an_overwrite_for_the_member_wins_over_those_for_roles() -> None:
    """Everyone is denied, a role is allowed, the bot itself is denied again."""
    place = membership(guild_payload({GUILD: READ, 11: 0}), member_payload((11,)), BOT, NOW)
    everyone = {"id": str(GUILD), "type": 0, "allow": "0", "deny": str(READ)}
    role = {"id": "11", "type": 0, "allow": str(READ), "deny": "0"}
    mine = {"id": str(BOT), "type": 1, "allow": "0", "deny": str(READ_MESSAGE_HISTORY)}
    assert channel_permissions(place, channel_payload([everyone])) == 0
    assert channel_permissions(place, channel_payload([everyone, role])) == READ
    assert channel_permissions(place, channel_payload([everyone, role, mine])) == VIEW_CHANNEL


def test_a_role_that_allows_wins_over_one_that_denies() -> None:
    """Within the roles' tier the allowed bits are added last, whatever the order of the overwrites."""
    place = membership(guild_payload({GUILD: VIEW_CHANNEL, 11: 0, 12: 0}), member_payload((11, 12)), BOT, NOW)
    allow = {"id": "11", "type": 0, "allow": str(READ), "deny": "0"}
    deny = {"id": "12", "type": 0, "allow": "0", "deny": str(READ)}
    assert channel_permissions(place, channel_payload([allow, deny])) == READ
    assert channel_permissions(place, channel_payload([deny, allow])) == READ


@pytest.mark.parametrize(
    ("granted", "state"),
    [
        (0, ChannelAccess.FORBIDDEN),
        (READ_MESSAGE_HISTORY, ChannelAccess.FORBIDDEN),
        (VIEW_CHANNEL, ChannelAccess.NO_HISTORY),
        (READ, ChannelAccess.READABLE),
        (ADMINISTRATOR, ChannelAccess.READABLE),
    ],
)
def test_reading_takes_sight_and_history(granted: int, state: ChannelAccess) -> None:
    """View Channel without Read Message History is a state of its own: Discord answers with nothing."""
    place = membership(guild_payload({GUILD: granted}), member_payload(), BOT, NOW)
    assert reading_state(place, channel_payload()) is state


def test_a_voice_channel_takes_connect_too() -> None:
    """The text chat of a voice channel is closed to those who cannot join it."""
    place = membership(guild_payload({GUILD: READ}), member_payload(), BOT, NOW)
    joining = membership(guild_payload({GUILD: READ | CONNECT}), member_payload(), BOT, NOW)
    assert reading_state(place, channel_payload(kind=2)) is ChannelAccess.FORBIDDEN
    assert reading_state(joining, channel_payload(kind=2)) is ChannelAccess.READABLE


def test_a_private_thread_takes_membership_or_manage_threads() -> None:
    """The parent's permissions are not enough for a private thread, those to manage threads are."""
    reader = membership(guild_payload({GUILD: READ}), member_payload(), BOT, NOW)
    manager = membership(guild_payload({GUILD: READ | MANAGE_THREADS}), member_payload(), BOT, NOW)
    thread = {"id": "21", "type": 12, "parent_id": str(CHANNEL)}
    assert reading_state(reader, thread, channel_payload()) is ChannelAccess.FORBIDDEN
    assert reading_state(reader, {**thread, "member": {}}, channel_payload()) is ChannelAccess.READABLE
    assert reading_state(manager, thread, channel_payload()) is ChannelAccess.READABLE


def test_a_thread_has_the_permissions_of_its_parent() -> None:
    """A thread carries no overwrites; those of its channel count."""
    place = membership(guild_payload({GUILD: READ}), member_payload(), BOT, NOW)
    closed = channel_payload([{"id": str(GUILD), "type": 0, "allow": "0", "deny": str(READ_MESSAGE_HISTORY)}])
    thread = {"id": "21", "type": 11, "parent_id": str(CHANNEL)}
    assert reading_state(place, thread, channel_payload()) is ChannelAccess.READABLE
    assert reading_state(place, thread, closed) is ChannelAccess.NO_HISTORY


def test_the_owner_has_everything() -> None:
    """An owner needs no role, and no overwrite takes anything away."""
    place = membership(guild_payload({GUILD: 0}, owner_id=BOT), member_payload(), BOT, NOW)
    closed = channel_payload([{"id": str(BOT), "type": 1, "allow": "0", "deny": str(READ)}])
    assert channel_permissions(place, closed) == EVERYTHING
