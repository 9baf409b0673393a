"""Subscribed schedules in the settings file, and their download."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest_pipeline.errors import BadInput, ConfigurationError, PermanentError, TransientError
from ingest_pipeline.settings import Settings
from ingest_pipeline.sources.schedule_download import Validators, download_schedule, web_address
from ingest_pipeline.userconfig.schedules.subscriptions import Subscription, load_subscriptions
from ingest_pipeline.userconfig.settings_file import load_settings_file
from ingest_pipeline_tests.file_server import FileServer, running_file_server

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of their own."""
    return Settings(_env_file=None, data_dir=tmp_path, default_channel_id=7)


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server of files."""
    with running_file_server() as running:
        yield running


def load(settings: Settings, text: str) -> list[Subscription]:
    """Read the subscriptions of a settings file."""
    settings.settings_file.write_text(text, encoding="utf-8")
    return load_subscriptions(settings)


def test_every_option_of_a_subscription_is_read(settings: Settings) -> None:
    """What is left out has the default of a calendar; the file's other sections are no business of it."""
    found = load(
        settings,
        """
defaults: {keep_media_only: true}
schedules:
  f1:
    url: webcal://example.org/season.ics
    channel_ids: [12, "11"]
    default_length: 2h
    assume_zone: Europe/Rome
    tentative: yes
    whole_days: false
    ahead_days: 30
    overrun_minutes: 45
  meetings: {discord_guild_id: 99}
  nyse: {trading: XNYS, channel_ids: 13}
""",
    )
    assert found == [
        Subscription(
            "f1",
            url="webcal://example.org/season.ics",
            channel_ids=(11, 12),
            default_length=timedelta(hours=2),
            assume_zone=ZoneInfo("Europe/Rome"),
            tentative=True,
            ahead=timedelta(days=30),
            overrun=timedelta(minutes=45),
        ),
        Subscription("meetings", discord_guild_id=99),
        Subscription("nyse", trading="XNYS", channel_ids=(13,)),
    ]
    assert found[0].options(settings, NOW).until == NOW + timedelta(days=30)
    channels = [each.options(settings, NOW).default_channel_ids for each in found]
    assert channels == [(11, 12), (), (13,)]
    assert load_settings_file(settings.settings_file).defaults == {"keep_media_only": True}


def test_a_file_without_subscriptions_has_none(settings: Settings) -> None:
    """Nor does one that is absent."""
    assert load_subscriptions(settings) == []
    assert load(settings, "schedules:\n") == []


@pytest.mark.parametrize(
    ("below", "reason"),
    [
        ("{}", "schedule 'f1' needs one of url, discord_guild_id and trading, and has none"),
        ("{url: 'file:a.ics', trading: XNYS}", "and has url and trading: keep one"),
        ("{url: 'http://example.org/a.ics'}", "is asked for in the clear: write https://example.org"),
        ("{url: 'ftp://example.org/a.ics'}", "is no address of a schedule"),
        ("{url: 'https://user:word@example.org/a'}", "is no address of a schedule"),
        ("{uri: 'file:a.ics'}", "unknown key 'uri': did you mean 'url'?"),
        (
            "{url: 'file:a.ics', default_length: long}",
            "line 2: default_length 'long' is not a length of time",
        ),
        ("{url: 'file:a.ics', assume_zone: Mars}", "assume_zone 'Mars' is no time zone"),
        ("{url: 'file:a.ics', tentative: perhaps}", "tentative 'perhaps' is neither true nor false"),
        ("{url: 'file:a.ics', ahead_days: 0}", "ahead_days '0' is not a number of days from 1 to 3660"),
        ("{url: 'file:a.ics', overrun_minutes: some}", "overrun_minutes is 'some': write whole minutes"),
        ("{url: 'file:a.ics', channel_ids: [x]}", "channel id 'x' is not a Discord id"),
        ("{url: }", "a value is missing"),
        ("[1]", "must be a mapping"),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_stops_no_message(
    settings: Settings, below: str, reason: str
) -> None:
    """The settings of channels are read all the same."""
    with pytest.raises(ConfigurationError) as caught:
        load(settings, f"schedules:\n  f1: {below}\n")
    assert reason in str(caught.value)
    assert "line 2" in str(caught.value)
    assert "word" not in str(caught.value)
    assert load_settings_file(settings.settings_file).defaults == {}


def test_an_unchanged_answer_is_not_sent_again(server: FileServer) -> None:
    """The server's ETag is sent back."""
    server.files["/a.ics"], server.etags["/a.ics"] = b"first", '"1"'
    answer = download_schedule(f"{server.address}/a.ics", Validators())
    assert (answer.content, answer.validators.etag) == (b"first", '"1"')
    assert download_schedule(f"{server.address}/a.ics", answer.validators).content is None
    server.files["/a.ics"], server.etags["/a.ics"] = b"second", '"2"'
    assert download_schedule(f"{server.address}/a.ics", answer.validators).content == b"second"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, PermanentError),
        (403, PermanentError),
        (404, PermanentError),
        (410, PermanentError),
        (503, TransientError),
    ],
)
def test_a_refusal_states_whether_trying_again_helps(
    server: FileServer, status: int, error: type[Exception]
) -> None:
    """The message names the host, and never the path, which may be a key."""
    server.answers["/private-key/a.ics"] = status
    with pytest.raises(error, match=f"127.0.0.1 answers {status}") as caught:
        download_schedule(f"{server.address}/private-key/a.ics", Validators())
    assert "private-key" not in str(caught.value)


def test_an_answer_that_is_too_large_is_cut_off(server: FileServer) -> None:
    """Whatever length is stated."""
    server.files["/a.ics"], server.lengths["/a.ics"] = b"x" * 5000, None
    with pytest.raises(BadInput, match="sends more than 4,999 bytes"):
        download_schedule(f"{server.address}/a.ics", Validators(), max_bytes=4999)


def test_a_redirect_to_another_host_is_refused_and_named(server: FileServer) -> None:
    """One on the same host is followed."""
    server.files["/b.ics"] = b"there"
    server.redirects["/a.ics"] = "/b.ics"
    assert download_schedule(f"{server.address}/a.ics", Validators()).content == b"there"
    server.redirects["/a.ics"] = "http://169.254.1.1/b.ics"
    with pytest.raises(
        BadInput, match=r"leads to http://169\.254\.1\.1:80: if that is right, write that address"
    ):
        download_schedule(f"{server.address}/a.ics", Validators())


def test_a_host_that_does_not_answer_is_transient() -> None:
    """Nobody listens on this port."""
    with pytest.raises(TransientError, match=r"127\.0\.0\.1 cannot be reached"):
        download_schedule("http://127.0.0.1:1/a.ics", Validators())


def test_a_webcal_address_is_asked_over_https() -> None:
    """Calendars are published so."""
    assert web_address("webcal://example.org/a.ics") == "https://example.org/a.ics"
