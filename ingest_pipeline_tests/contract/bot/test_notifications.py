"""Somebody is notified: the real bot, a simulated Discord, and a server that takes what is posted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.notifications import delivery
from ingest_pipeline.notifications.active_rules import load_active_rules
from ingest_pipeline.notifications.notifier import Notifier
from ingest_pipeline.notifications.transport import prepare
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline.storage.runs.notifications import count_notifications, read_position
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.live_bot.running_bot import RunningBot
from ingest_pipeline_tests.webhook_receiver import Receiver, receiving

SECRET = "a-secret-word"
ON_ONE_ENGINE = pytest.mark.parametrize("settings", ["postgres"], indirect=True)
"""For what the storage has no part in; the quicker engine."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A service that takes JSON."""
    with receiving() as receiver:
        yield receiver


@dataclass
class Desk:
    """An archive whose rules are written down, and the receiver of what they report."""

    archive: Archive
    receiver: Receiver

    def rules(self, text: str) -> None:
        """Write the section of the settings file."""
        path = self.archive.services.settings.settings_file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"notifications:\n{text}")

    def wait_until_watched(self, bot: RunningBot) -> None:
        """Wait until rules are looked at: what came before is not reported."""
        bot.wait_for(lambda: self.archive.read(read_position) is not None, "the first round")

    @property
    def texts(self) -> list[str]:
        """What arrived."""
        return [body["message"] for body in self.receiver.bodies]


@pytest.fixture
def desk(archive: Archive, receiver: Receiver) -> Desk:
    """An archive without rules, in a process that has loaded the library."""
    prepare()
    settings = archive.services.settings.model_copy(
        update={"notify_addresses": {"pit_wall": SecretStr(receiver.url)}}
    )
    known = replace(archive.services, settings=settings)
    return Desk(replace(archive, services=known), receiver)


@pytest.mark.slow
def test_what_is_heard_is_reported_once(
    desk: Desk, server: DiscordServer, guild: int, radio: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway's message, by driver and words; an edit does not report it again, nor does a restart."""
    desk.rules(
        """
  box_calls: {when: radio, driver: leclerc, words: 'box* -quali', to: pit_wall}
  tyres: {words: tyres, to: pit_wall, title: "{{ author }}", text: "{{ text | upper }}"}
"""
    )
    with caplog.at_level(logging.DEBUG), RunningBot(desk.archive) as bot:
        desk.wait_until_watched(bot)
        first = server.messages.post(radio, ":studio_microphone: `Leclerc` Box, box. <@&1> @everyone")
        bot.wait_for(lambda: bool(desk.texts), "a notification")
        server.messages.post(radio, "`Leclerc` Boxing in quali")
        server.messages.post(radio, "`Norris` Box")
        server.messages.edit(radio, first, ":studio_microphone: `Leclerc` Box, box, tyres")
        bot.wait_for(lambda: len(desk.texts) == 2, "the other rule's notification")
        bot.settle()
    with RunningBot(desk.archive) as bot:
        server.messages.post(radio, "more tyres")
        bot.wait_for(lambda: len(desk.texts) == 3, "what came after the restart")
    words, link = desk.texts[0].splitlines()
    assert words == "Box, box. <\u200b@&1> @\u200beveryone"
    assert link == f"https://discord.com/channels/{guild}/{radio}/{first}"
    assert desk.receiver.bodies[0]["title"] == "box_calls: Leclerc in #team-radio"
    assert desk.texts[1:] == ["BOX, BOX, TYRES", "MORE TYRES"]
    assert SECRET not in caplog.text


@pytest.fixture
def notifier(desk: Desk) -> Notifier:
    """What takes rounds without a bot, as the sensor does."""
    return Notifier(desk.archive.services)


@ON_ONE_ENGINE
def test_a_session_is_reported_when_it_begins_ends_and_goes_on(desk: Desk, notifier: Notifier) -> None:
    """Each once, also by two processes; what began long ago, or is cancelled, is not reported."""
    desk.rules(
        """
  begins: {when: session_starts, to: pit_wall, session: "monza-*"}
  ends: {when: session_ends, to: pit_wall}
"""
    )
    notifier.round()
    now = datetime.now(UTC)
    past, soon = now - timedelta(hours=5), now + timedelta(hours=1)
    monza = Session("monza-race", now, soon, (42,), event_name="Italian Grand Prix", session_type="Race")
    sessions = [
        monza,
        Session("spa", now, soon, (42,)),
        Session("monza-2020", past, past + timedelta(hours=1), (42,)),
        replace(monza, session_id="monza-off", is_cancelled=True),
    ]
    desk.archive.write(lambda connection: save_sessions(connection, sessions, now=now))
    assert notifier.round() + Notifier(desk.archive.services).round() + notifier.round() == 1
    assert desk.receiver.bodies[0]["title"] == "Italian Grand Prix Race begins"
    ended = replace(monza, start_time=past, end_time=datetime.now(UTC))
    desk.archive.write(lambda connection: save_sessions(connection, [ended], now=now))
    assert (notifier.round(), notifier.round()) == (1, 0)
    assert desk.receiver.bodies[1]["title"] == "Italian Grand Prix Race is over"


def post(desk: Desk, radio: int, *texts: str, ago: timedelta = timedelta(0)) -> None:
    """Let history bring messages, posted some time ago."""
    now = datetime.now(UTC)
    desk.archive.server.messages.bulk_load(
        radio, list(texts), ends=now - ago, spacing=timedelta(milliseconds=1)
    )
    desk.archive.catch_up(radio, lookback=timedelta(days=1))


@ON_ONE_ENGINE
def test_what_an_old_import_brings_is_not_reported(
    desk: Desk, notifier: Notifier, server: DiscordServer, radio: int
) -> None:
    """Only what was posted a short while ago, and since there are rules."""
    post(desk, radio, "tyres before there were rules")
    desk.rules("  tyres: {words: tyres, to: pit_wall, newer_than_minutes: 5}")
    notifier.round()
    post(desk, radio, "tyres of an hour ago", ago=timedelta(hours=1))
    assert notifier.round() == 0
    post(desk, radio, "tyres now")
    assert notifier.round() == 1
    assert [text.splitlines()[0] for text in desk.texts] == ["tyres now"]


@ON_ONE_ENGINE
def test_beyond_the_limit_of_an_hour_the_rest_comes_together(
    desk: Desk, notifier: Notifier, radio: int
) -> None:
    """Two of an hour, then what waited in one; a deleted message is left out of it."""
    desk.rules("  tyres: {words: tyres, to: pit_wall, per_hour: 2}")
    notifier.round()
    post(desk, radio, "tyres 1")
    assert notifier.round() == 1
    post(desk, radio, *(f"tyres {number}" for number in range(2, 15)))
    assert notifier.round() == 1
    assert desk.receiver.bodies[1]["title"] == "tyres: 13 notifications"
    assert desk.texts[1].splitlines()[-1] == "and 3 more"
    post(desk, radio, "tyres 15", "tyres 16")
    assert notifier.round() == 0
    active, later = load_active_rules(notifier.services.settings), datetime.now(UTC) + timedelta(minutes=61)
    claimed = desk.archive.write(lambda connection: delivery.claim_due(connection, active, later))
    assert [each.wording.title for each in claimed] == ["tyres: 2 notifications"]


@pytest.mark.slow
def test_what_does_not_arrive_is_tried_again_and_what_may_have_arrived_is_not(
    desk: Desk, notifier: Notifier, radio: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service in trouble is asked again later; after a crash in mid-delivery nothing is sent twice."""
    monkeypatch.setattr(delivery, "RETRIES", Backoff(0.0))
    desk.rules("  tyres: {words: tyres, to: [pit_wall, nobody]}")
    notifier.round()
    desk.receiver.status = 503
    post(desk, radio, "tyres")
    assert notifier.round() == 0
    desk.receiver.status = 200
    notifier.look_at = None
    assert (notifier.round(), desk.receiver.requests) == (1, 2)
    post(desk, radio, "more tyres")
    monkeypatch.setattr(delivery, "send", lambda *_: pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        notifier.round()
    monkeypatch.undo()
    later = datetime.now(UTC) + timedelta(hours=1)
    active = load_active_rules(notifier.services.settings)
    assert desk.archive.write(lambda connection: delivery.claim_due(connection, active, later)) == []
    states = desk.archive.read(lambda connection: count_notifications(connection, ["tyres"]))
    assert {(row["target"], row["state"], row["n"]) for row in states} == {
        ("pit_wall", "sent", 1),
        ("pit_wall", "unknown", 1),
        ("nobody", "waiting", 2),
    }
