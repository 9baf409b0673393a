"""What messages say, read the moment the bot receives them, and reported as events of their journeys."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ingest_pipeline.events import Event, EventType
from ingest_pipeline.monitoring.tracing import trace
from ingest_pipeline.storage.runs.events import events_of_message
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.contract.content_messages import PLAN, contents, flagged
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.programs import QUICK
from ingest_pipeline_tests.live_bot.running_bot import RunningBot

EXTRACTED = {EventType.MESSAGE_PARSED, EventType.SETUP_CREATED}
OPTIONS = replace(QUICK, coverage_read_seconds=1000.0)
ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)
"""For what the storage has no part in; the quicker engine."""


def reported(archive: Archive, message_id: int) -> list[tuple[str, dict[str, Any]]]:
    """Return what events say of a message's content."""
    found: list[Event] = archive.read(lambda connection: events_of_message(connection, message_id))
    return [
        (
            event.event_type.value,
            {key: each for key, each in event.data.items() if key not in {"channel_id", "batch"}},
        )
        for event in found
        if event.event_type in EXTRACTED
    ]


def levels(archive: Archive) -> list[tuple[int, Decimal | None]]:
    """Return line and level of each setup in the table."""
    rows = archive.read(lambda connection: contents(connection, "trade_setups"))["trade_setups"]
    return [(row["line_number"], row["trigger_price"]) for row in rows]


@pytest.mark.slow
def test_a_plan_is_read_as_it_comes_and_when_edited_and_withdrawn_when_deleted(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Each time in the batch of its event, which is reported under the message's own correlation id."""
    with RunningBot(archive, OPTIONS) as bot:
        # What the first catch-up reads causes no events of its own.
        bot.settle()
        plan = server.messages.post(radio, PLAN)
        bot.wait_for(lambda: levels(archive) == [(4, Decimal("141.33")), (5, None)], "the plan")
        server.messages.edit(radio, plan, "NVDA\n🔼 Breakout Above 150.10 🔼 152")
        bot.wait_for(lambda: levels(archive) == [(2, Decimal("150.10"))], "the edit")
        bot.settle()
        assert reported(archive, plan) == [
            ("message.parsed", {"content": ["trade_setups"]}),
            ("setup.created", {"setups": 2, "tickers": {"NVDA": 2}}),
            ("message.parsed", {"content": ["trade_setups"]}),
        ]
        server.messages.delete(radio, plan)
        bot.wait_for(lambda: levels(archive) == [], "the deletion")
        assert len(reported(archive, plan)) == 3
    journey = archive.read(lambda connection: trace(connection, str(plan)))
    created = next(stage for stage in journey.stages if stage.name == "setup.created")
    assert created.correlation_id == f"{guild}-{plan}"
    names = [stage.name for stage in journey.stages]
    assert names.index("discord.message.received") < names.index("setup.created")
    assert created.data["batch"] in journey.correlation_ids


@ON_ONE_ENGINE
def test_what_comes_without_an_edit_is_read_too(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Reactions make a highlight, once the message has been read again."""
    with RunningBot(archive, OPTIONS) as bot:
        # What the first catch-up reads causes no events of its own.
        bot.settle()
        crash = server.messages.post(radio, "`Leclerc` crash")
        bot.settle()
        assert reported(archive, crash) == [("message.parsed", {"content": ["team_radio"]})]
        assert crash not in archive.read(flagged)
        for number in range(10):
            server.messages.react(radio, crash, "🔥", user_id=1000 + number)
        bot.wait_for(lambda: crash in archive.read(flagged), "the highlight")
        server.messages.edit(radio, crash, "never mind")
        bot.settle()
    assert reported(archive, crash)[1:] == [("message.parsed", {"withdrawn": ["team_radio"]})]


@ON_ONE_ENGINE
def test_a_slip_in_a_file_of_rules_stops_no_message(
    archive: Archive, server: DiscordServer, guild: int, radio: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The rules from before are kept, and what is wrong is said once."""
    drivers = archive.services.settings.data_dir / "drivers.yaml"
    with RunningBot(archive, OPTIONS) as bot:
        server.messages.post(radio, "`Leclerc` Box.")
        bot.settle()
        drivers.parent.mkdir(parents=True, exist_ok=True)
        drivers.write_text("drivers: {")
        server.messages.post(radio, "`16` Copy.")
        bot.settle()
        server.messages.post(radio, "`LEC` Push.")
        bot.settle()
    rows = archive.read(lambda connection: contents(connection, "radio_messages"))["radio_messages"]
    assert [row["driver_code"] for row in rows] == ["LEC"] * 3
    assert caplog.text.count("the rules from before are kept: cannot read the drivers") == 1


@ON_ONE_ENGINE
def test_what_a_catch_up_brings_is_read_with_it(
    archive: Archive, server: DiscordServer, guild: int, radio: int
) -> None:
    """Posted before the bot came, deleted or edited while it was away."""
    first, second = server.messages.post(radio, "`Leclerc` Box."), server.messages.post(radio, PLAN)
    with RunningBot(archive, OPTIONS) as bot:
        bot.settle()
    assert [line for line, _ in levels(archive)] == [4, 5]
    server.messages.delete(radio, first)
    server.messages.edit(radio, second, "cancelled")
    with RunningBot(archive, OPTIONS) as bot:
        bot.settle()
    assert not any(archive.read(contents).values())
