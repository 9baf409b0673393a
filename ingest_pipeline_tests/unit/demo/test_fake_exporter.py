"""The fake exporter: that it is like the real one, in what it writes, says and leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest_pipeline.demo.arguments import UsageError, parse
from ingest_pipeline.demo.document import encode, timestamp
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline_tests.unit.sources.exporter_worlds import (
    CHANNEL_ID,
    FOUR_MESSAGES,
    START,
    export,
    message,
    run,
    run_here,
    stand_in,
    write_world,
)

# One message as version 2.47 writes it: order of keys, indent, escapes, trimmed fractions.
SPECIMEN = r"""{
  "guild": {
    "id": "690000000000000001",
    "name": "Paddock",
    "iconUrl": "https://example.org/i.png"
  },
  "channel": {
    "id": "1101802452224856174",
    "type": "GuildTextChat",
    "categoryId": null,
    "category": "Race weekend",
    "name": "team-radio",
    "topic": null
  },
  "dateRange": {
    "after": "2026-03-01T14:00:00+00:00",
    "before": null
  },
  "exportedAt": "2026-03-01T15:00:00+00:00",
  "messages": [
    {
      "id": "1477666738798592007",
      "type": "Default",
      "timestamp": "2026-03-01T14:00:04.25+00:00",
      "timestampEdited": null,
      "callEndedTimestamp": null,
      "isPinned": false,
      "content": "\uD83D\uDCFB \u00A0é `Pérez` \"go\"\n<&>\u001B",
      "author": {
        "id": "700000000000000009",
        "name": "someone",
        "discriminator": "0000",
        "nickname": "someone",
        "color": null,
        "isBot": false,
        "roles": [],
        "avatarUrl": "https://cdn.discordapp.com/embed/avatars/0.png"
      },
      "attachments": [],
      "embeds": [],
      "stickers": [],
      "reactions": [],
      "mentions": [],
      "inlineEmojis": []
    }
  ],
  "messageCount": 1
}"""


@pytest.fixture(autouse=True)
def _sigint_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def contents(folder: Path) -> list[str]:
    """Return the contents of the messages in `folder/out.json`."""
    return [read["content"] for read in json.loads((folder / "out.json").read_text())["messages"]]


def test_a_document_is_written_byte_for_byte_like_the_exporters(tmp_path: Path) -> None:
    """Order, indent, escapes, fractions, and no line break at the end."""
    spoken = message(4.25, '📻 \u00a0é `Pérez` "go"\n<&>\x1b')
    asked = ("--utc", "--markdown", "false", "--after", "2026-03-01T14:00:00Z")
    done = export(tmp_path, *asked, messages=[spoken])
    assert (tmp_path / "out.json").read_text() == SPECIMEN
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Resolving channel(s)...",
        "Exporting 1 channel(s)...",
        "team-radio: 100%",
        "Successfully exported 1 channel(s).",
    ]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("microsecond", "digit", "expected"),
    [(0, 0, ""), (310_000, 0, ".31"), (390_021, 5, ".3900215"), (0, 4, ".0000004")],
)
def test_fractions_have_up_to_seven_digits_without_trailing_zeros(
    microsecond: int, digit: int, expected: str
) -> None:
    """As .NET writes a DateTimeOffset."""
    moment = datetime(2026, 3, 1, 14, 0, 5, microsecond, tzinfo=UTC)
    assert timestamp(moment, utc=True, tenths_of_microsecond=digit) == f"2026-03-01T14:00:05{expected}+00:00"


def test_values_are_laid_out_as_json_with_two_spaces() -> None:
    """The standard library agrees where .NET does not escape."""
    value = {"a": [], "b": {}, "c": [1, {"d": None, "e": [True, False]}], "f": 'x"\\\n'}
    assert encode(value, 0, utc=True) == json.dumps(value, indent=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T14:00:00Z", START),
        ("2026-03-01T23:00:00.5+09:00", START + timedelta(milliseconds=500)),
        ("2026-03-01 14:00", START),
        ("2026-03-01", START.replace(hour=0)),
        ("01-MAR-2026 14:00:00.2500", START + timedelta(milliseconds=250)),
        ("03/01/2026", START.replace(hour=0)),
    ],
)
def test_dates_become_the_lowest_id_of_their_millisecond(
    text: str, expected: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an offset they are local time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        bound = parse(["export", "--after", text]).bound("after")
    time.tzset()
    assert bound == first_id_at(expected)


def test_digits_are_an_id_and_early_dates_wrap_around() -> None:
    """Both are traps of the real one."""
    assert parse(["export", "--after", "20240101"]).bound("after") == 20240101
    assert parse(["export", "--after", "2014-01-01T00:00:00Z"]).bound("after") == 18314472502765551616
    with pytest.raises(UsageError, match="Invalid snowflake 'yesterday'"):
        parse(["export", "--after", "yesterday"]).bound("after")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((), ["a", "b", "c", "d"]),
        (("--after", FOUR_MESSAGES[1]["id"]), ["c", "d"]),
        (("--before", FOUR_MESSAGES[1]["id"]), ["a"]),
        (("--after", "2026-03-01T14:01:00Z", "--before", "2026-03-01T14:02:00Z"), ["b"]),
    ],
)
def test_bounds_by_id_are_exclusive_and_by_date_half_open(
    tmp_path: Path, bounds: tuple[str, ...], expected: list[str]
) -> None:
    """Discord compares ids."""
    reported = [{**written, "content": text} for written, text in zip(FOUR_MESSAGES, "abcd", strict=True)]
    assert export(tmp_path, *bounds, messages=reported).returncode == 0
    assert contents(tmp_path) == expected


def test_times_are_local_unless_utc_is_asked_for(tmp_path: Path) -> None:
    """An offset is always written."""
    command = ("export", "-c", str(CHANNEL_ID), "-f", "Json", "-o", str(tmp_path / "out.json"))
    run(stand_in(tmp_path), *command, TZ="Asia/Tokyo")
    first = json.loads((tmp_path / "out.json").read_text())["messages"][0]
    assert first["timestamp"] == "2026-03-01T23:00:01+09:00"


def test_mentions_become_names_unless_markdown_is_off(tmp_path: Path) -> None:
    """The default rewrites content, even inside backticks."""
    mentioned = {"id": "5", "name": "anna", "nickname": "Anna"}
    reported = [{**message(1, "`<@5>` <@!5> <@6>"), "mentions": [mentioned]}]
    export(tmp_path, messages=reported)
    assert contents(tmp_path) == ["`@Anna` @Anna @Unknown"]
    export(tmp_path, "--markdown", "false", messages=reported)
    assert contents(tmp_path) == ["`<@5>` <@!5> <@6>"]


def test_channels_guilds_and_version_are_listed(tmp_path: Path) -> None:
    """The small commands."""
    world = write_world(tmp_path)
    assert run_here(world, "--version").stdout == "v2.47\n"
    assert run_here(world, "channels", "-g", "1").stdout == f"{CHANNEL_ID} | Race weekend / team-radio\n"
    assert run_here(world, "guilds").stdout == "0 | Direct Messages\n690000000000000001 | Paddock\n"


def test_the_banner_has_eleven_lines_unless_it_is_switched_off(tmp_path: Path) -> None:
    """It is on standard output, where it would be in the way."""
    world = write_world(tmp_path)
    banner = run_here(world, "guilds", FUCK_RUSSIA="").stdout.splitlines()[:-2]
    assert len(banner) == 11
    assert run_here(world, "guilds", "--fuck-russia", FUCK_RUSSIA="").stdout.count("\n") == 2


def test_the_executable_does_not_depend_on_its_environment(tmp_path: Path) -> None:
    """Neither on PATH nor on Python's variables nor on the working directory."""
    folder = tmp_path / "a folder with 'quotes'"
    executable = stand_in(folder)
    done = subprocess.run(
        [str(executable), "--version"],
        env={"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"v2.47\n")
