"""Notification rules in the settings file, their fit, their quiet hours and their words."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.notification import QuietHours, Rule
from ingest_pipeline.domain.search.words import searchable
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.notifications.active_rules import load_active_rules
from ingest_pipeline.notifications.wording import LONGEST_TEXT, Wording, word, word_together
from ingest_pipeline.settings import Settings, settings_from
from ingest_pipeline.userconfig.settings_file import load_settings_file

ROME = ZoneInfo("Europe/Rome")


def load(folder: Path, text: str) -> dict[str, Rule]:
    """Read the rules of a settings file."""
    settings = Settings(_env_file=None, data_dir=folder)
    settings.settings_file.write_text(f"notifications:\n{text}", encoding="utf-8")
    return dict(load_active_rules(settings).rules)


def test_every_option_of_a_rule_is_read(tmp_path: Path) -> None:
    """And the section disturbs none of those who read the others."""
    found = load(
        tmp_path,
        """
  box:
    when: radio
    driver: [Leclerc, HAM]
    channel: 42
    session: monza-*
    words: 'box* -quali'
    to: [pit_wall, phone]
    title: "{{ driver }}"
    text: "{{ text }}"
    per_hour: 5
    quiet_hours: 22:00-07:30
    time_zone: Europe/Rome
    newer_than_minutes: 5
  setups: {when: setup, ticker: [$spy, QQQ], to: phone}
""",
    )
    box, setups = found.values()
    assert (box.when, box.to, box.drivers) == (
        "team_radio",
        ("pit_wall", "phone"),
        frozenset({"leclerc", "ham"}),
    )
    assert (box.channel_ids, box.per_hour, box.newer_than) == (frozenset({42}), 5, timedelta(minutes=5))
    assert box.quiet == QuietHours(time(22), time(7, 30), ROME)
    assert (setups.when, setups.tickers, setups.quiet) == ("trade_setups", frozenset({"SPY", "QQQ"}), None)
    load_settings_file(tmp_path / "settings.yaml")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("{words: box}", "add `to: NAME`"),
        ("{to: 'discord://1/secret-token'}", "INGEST_NOTIFY_<NAME>"),
        ("{to: phone, wrods: box}", "did you mean 'words'"),
        ("{to: phone, when: setups}", "setup"),
        ("{to: phone, words: '-quali'}", "only excludes words"),
        ("{to: phone, when: failure, words: box}", "words and driver are for messages"),
        ("{to: phone, quiet_hours: 22-7}", "22:00-07:00"),
        ("{to: phone, time_zone: Mars}", "IANA name"),
        ("{to: phone, per_hour: 0}", "from 1 to"),
        ("{to: phone, text: '{{ text'}", "is no template"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place_and_the_remedy(tmp_path: Path, rule: str, named: str) -> None:
    """An address in the file is refused and not repeated."""
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, f"  mine: {rule}")
    assert named in str(refused.value)
    assert "mine" in str(refused.value)
    assert "secret-token" not in str(refused.value)


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their names, in the environment and below it in the `.env` file."""
    monkeypatch.setenv("INGEST_NOTIFY_PIT_WALL", "json://one")
    found = settings_from({"INGEST_NOTIFY_PIT_WALL": "json://two", "INGEST_NOTIFY_PHONE": "json://three"})
    assert found.notify_addresses == {
        "pit_wall": SecretStr("json://one"),
        "phone": SecretStr("json://three"),
    }


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-12-01T20:59:59", None),
        ("2026-12-01T21:00:00", "2026-12-02T06:30:00"),
        ("2026-12-02T06:29:59", "2026-12-02T06:30:00"),
        ("2026-12-02T06:30:00", None),
        # The clock goes back an hour in this night.
        ("2026-10-24T21:00:00", "2026-10-25T06:30:00"),
    ],
)
def test_quiet_hours_go_by_the_clock_of_their_zone(at: str, ends: str | None) -> None:
    """Over midnight, and over a change of the clock."""
    quiet = QuietHours(time(22), time(7, 30), ROME)
    expected = None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=UTC)
    offset = timedelta(hours=1) if at.startswith("2026-10-24") else timedelta(0)
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert quiet.end_after(moment - offset) == expected


def row(text: str, **others: Any) -> dict[str, Any]:
    """Return what a rule looks at of a message."""
    return {"channel_id": 42, "session_id": None, "driver": None, "message_text": text, **others}


def test_a_rule_fits_what_passes_all_of_its_filters(tmp_path: Path) -> None:
    """Of drivers the name as written or as known counts, of setups any line."""
    found = load(
        tmp_path,
        """
  box: {when: radio, driver: lec, words: box, session: monza-*, to: a}
  setups: {when: setup, ticker: SPY, channel: 42, to: a}
""",
    )
    box, setups = found["box"], found["setups"]
    words, radio = searchable("Box, box"), [{"driver": "Charles", "driver_code": "LEC"}]
    assert box.fits_message(row("", session_id="monza-race"), radio, words)
    assert not box.fits_message(row(""), radio, words)
    assert not box.fits_message(row("", session_id="monza-race"), radio, searchable("boxing"))
    assert not box.fits_message(row("", session_id="monza-race"), [], words)
    lines = [{"ticker": "QQQ"}, {"ticker": "SPY"}]
    assert setups.fits_message(row(""), lines, words)
    assert not setups.fits_message(row("", channel_id=43), lines, words)
    assert not setups.fits_message(row(""), lines[:1], words)


VALUES = {"rule": "r", "text": "a <@1> @everyone", "author": "x", "driver": "", "channel": "c", "link": "l"}


def test_a_template_that_fails_or_reaches_out_is_replaced_by_the_usual_words() -> None:
    """And no text is longer than services take."""
    for template in ("{{ text.__class__.__mro__ }}", "{{ 1 / 0 }}", "{{ nothing.more }}"):
        worded = word(Rule("r", "message", ("a",), text=template), VALUES)
        assert worded == Wording("r: x in #c", "a <\u200b@1> @\u200beveryone\nl")
    rings = word(Rule("r", "message", ("a",), title="<@7>", text="{{ text * 1000 }}"), VALUES)
    assert (rings.title, len(rings.text)) == ("<@7>", LONGEST_TEXT)


def test_several_are_one_with_a_line_each() -> None:
    """The first ten, and how many more."""
    rule = Rule("r", "message", ("a",))
    together = word_together(rule, [Wording(f"t{number}", f"x\ny{number}") for number in range(12)])
    assert together.title == "r: 12 notifications"
    assert together.text.splitlines()[::10] == ["t0: x", "and 2 more"]
