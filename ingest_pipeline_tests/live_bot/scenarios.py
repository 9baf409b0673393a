"""What goes wrong while a guild is imported and its members go on talking."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ingest_pipeline_tests.fake_discord.events import MESSAGE_EVENTS
from ingest_pipeline_tests.fake_discord.faults import Events
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions
from ingest_pipeline_tests.fake_discord.transport import Ending
from ingest_pipeline_tests.live_bot.traffic import Traffic
from ingest_pipeline_tests.live_bot.world import World

Trouble = Callable[[World, Traffic], None]

WHOLE_HOURS = 1000.0
"""Far enough back to read everything again."""


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        name: What it is called.
        trouble: Runs beside the traffic; returns when everything is right again.
        before: Called before anything starts.
        waits_for_bot: Whether the members wait until the bot is connected.
        imports: How many imports run at once.
        lookback_hours: How far before a gap the bot reads again: all of the history, or little of it
            where there is no gap.
        seconds: How long the traffic takes at least; none for as long as the harness says.
    """

    name: str
    trouble: Trouble = lambda _world, _traffic: None
    before: Callable[[DiscordServer], None] = lambda _server: None
    waits_for_bot: bool = True
    imports: int = 1
    lookback_hours: float = WHOLE_HOURS
    seconds: float = 0.0


def _skew(seconds: float) -> Callable[[DiscordServer], None]:
    def set_skew(server: DiscordServer) -> None:
        server.clock.skew_seconds = seconds

    return set_skew


def _late_ready(server: DiscordServer) -> None:
    server.faults.ready_delay_seconds = 3.0


def _outage(seconds: float) -> Trouble:
    def trouble(world: World, traffic: Traffic) -> None:
        time.sleep(2.0)
        with world.server.gateway.outage(forget=True):
            time.sleep(seconds)

    return trouble


def _resumes(world: World, traffic: Traffic) -> None:
    world.server.faults.replay_overlap = 50
    for ending in (Ending.RESET, Ending.RECONNECT, Ending.INVALID_RESUMABLE, Ending.CLOSE) * 3:
        time.sleep(1.0)
        if traffic.is_over():
            break
        world.server.gateway.drop(ending)
    world.server.faults.replay_overlap = 0


def _kills(count: int) -> Trouble:
    def trouble(world: World, traffic: Traffic) -> None:
        random = Random(count)  # noqa: S311 - repeatable on purpose
        for _ in range(count):
            time.sleep(random.uniform(0.3, 9.0))
            world.kill_bot()
            time.sleep(random.uniform(0.0, 1.0))
            world.start_bot()

    return trouble


def _permissions(world: World, traffic: Traffic) -> None:
    channels = list(world.known)
    revoked = (permissions.VIEW_CHANNEL, permissions.READ_MESSAGE_HISTORY, permissions.READ_ONLY)
    for bits, channel_id in zip(revoked, channels, strict=False):
        time.sleep(1.0)
        world.server.permissions.revoke(channel_id, bits)
    time.sleep(5.0)
    world.server.permissions.set_role(world.guild_id, permissions.VIEW_CHANNEL)
    time.sleep(2.0)
    world.server.permissions.set_role(world.guild_id, permissions.READ_ONLY)
    for channel_id in channels[:3]:
        time.sleep(1.0)
        world.server.permissions.grant(channel_id)


def _before_everything(server: DiscordServer) -> None:
    server.clock.skew_seconds = -30.0
    server.faults.replay_overlap = 50
    server.faults.duplicate(Events(names=MESSAGE_EVENTS, times=None, probability=0.05, seed=1), later=(1, 6))
    server.faults.reorder(Events(names=MESSAGE_EVENTS, times=None, probability=0.05, seed=2), later=(1, 6))


def _everything(outage_seconds: float) -> Trouble:
    def trouble(world: World, traffic: Traffic) -> None:
        gateway, channels = world.server.gateway, list(world.known)
        gateway.drop(Ending.RESET)
        time.sleep(0.5)
        world.server.permissions.revoke(channels[0], permissions.READ_ONLY)
        world.kill_bot()
        world.start_bot()
        world.wait_for_bot()
        with gateway.outage(forget=True):
            time.sleep(outage_seconds)
        world.server.permissions.grant(channels[0])
        world.wait_for_bot()
        gateway.drop(Ending.RECONNECT)
        traffic.wait()
        # What is still held back of duplicates and late events goes out.
        world.server.faults.clear()

    return trouble


def everything_at_once(outage_seconds: float, *, imports: int = 3) -> Scenario:
    """Return the scenario in which all of it happens: the one that a suite can afford."""
    return Scenario(
        "everything at once", _everything(outage_seconds), before=_before_everything, imports=imports
    )


def scenarios(*, outage_seconds: float = 30.0, kills: int = 20) -> list[Scenario]:
    """Return every scenario.

    Args:
        outage_seconds: How long the gateway is out.
        kills: How often the bot is killed.
    """
    return [
        Scenario("perfect run", lookback_hours=1.0),
        Scenario("Discord's clock 30 s ahead", before=_skew(30.0), lookback_hours=1.0),
        Scenario("Discord's clock 30 s behind", before=_skew(-30.0), lookback_hours=1.0),
        Scenario("READY 3 s late", before=_late_ready, waits_for_bot=False),
        Scenario(
            f"{outage_seconds:g} s outage, new IDENTIFY", _outage(outage_seconds), seconds=outage_seconds + 8
        ),
        Scenario("RESUME with replay", _resumes, lookback_hours=1.0, seconds=15.0),
        Scenario(f"kill -9 at {kills} random moments", _kills(kills), seconds=kills * 5.2),
        Scenario("permission lost and regained", _permissions, seconds=20.0),
        Scenario("three imports at once", imports=3, lookback_hours=1.0),
        everything_at_once(outage_seconds / 3),
    ]
