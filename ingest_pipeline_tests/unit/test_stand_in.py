"""The stand-in exporter: that it is like the real one, in what it writes, says and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.demo.arguments import UsageError, parse
from ingest_pipeline.demo.document import encode, timestamp
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline_tests.unit.exporter_worlds import (
    CHANNEL_ID,
    FOUR_MESSAGES,
    START,
    TOKEN,
    message,
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


def run(executable: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an executable with a bare environment and the right token."""
    return subprocess.run(
        [str(executable), *arguments],
        env={"DISCORD_TOKEN": TOKEN, "FUCK_RUSSIA": "true", "TZ": "UTC", **environment},
        cwd=executable.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def export(folder: Path, *arguments: str, environment: dict[str, str] | None = None, **world: Any) -> Any:
    """Export the channel of a world to `folder/out.json` and return the finished process."""
    command = ("export", "-c", str(CHANNEL_ID), "-f", "json", "-o", str(folder / "out.json"))
    return run(stand_in(folder, **world), *command, *arguments, **(environment or {}))


def contents(folder: Path) -> list[str]:
    """Return the contents of the messages in `folder/out.json`."""
    return [read["content"] for read in json.loads((folder / "out.json").read_text())["messages"]]


def test_a_document_is_written_byte_for_byte_like_the_exporters(tmp_path: Path) -> None:
    """Order, indent, escapes, fractions, and no line break at the end."""
    spoken = message(4.25, '📻 \u00a0é `Pérez` "go"\n<&>\x1b')
    done = export(
        tmp_path, "--utc", "--markdown", "false", "--after", "2026-03-01T14:00:00Z", messages=[spoken]
    )
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
    told = [{**written, "content": text} for written, text in zip(FOUR_MESSAGES, "abcd", strict=True)]
    assert export(tmp_path, *bounds, messages=told).returncode == 0
    assert contents(tmp_path) == expected


def test_times_are_local_unless_utc_is_asked_for(tmp_path: Path) -> None:
    """An offset is always written."""
    export(tmp_path, environment={"TZ": "Asia/Tokyo"})
    first = json.loads((tmp_path / "out.json").read_text())["messages"][0]
    assert first["timestamp"] == "2026-03-01T23:00:01+09:00"


def test_mentions_become_names_unless_markdown_is_off(tmp_path: Path) -> None:
    """The default rewrites content, even inside backticks."""
    mentioned = {"id": "5", "name": "anna", "nickname": "Anna"}
    told = [{**message(1, "`<@5>` <@!5> <@6>"), "mentions": [mentioned]}]
    export(tmp_path, messages=told)
    assert contents(tmp_path) == ["`@Anna` @Anna @Unknown"]
    export(tmp_path, "--markdown", "false", messages=told)
    assert contents(tmp_path) == ["`<@5>` <@!5> <@6>"]


@pytest.mark.parametrize(
    ("fault", "exit_code", "on_stderr", "count"),
    [
        ("bad-token", 1, "Authentication token is invalid.", None),
        ("not-found", 1, f"Request to 'channels/{CHANNEL_ID}' failed: not found.", None),
        ("forum", 1, "is a forum and cannot be exported directly.", None),
        ("forbidden", 1, "Failed to export the following channel(s):\nRace weekend / team-radio: Request", 0),
        ("forbidden-exit-0", 0, "failed: forbidden.", 0),
        ("empty-old", 1, "does not contain any messages within the specified period.", None),
        ("missing-intent", 1, "missing the MESSAGE_CONTENT privileged intent.", 0),
        ("rate-limited", 1, "failed: too many requests.\nResponse content: {", 1),
        ("partial", 1, "ERROR\nSystem.IO.IOException", 1),
        ("echo-token", 1, f"Authorization: {TOKEN}", None),
    ],
)
def test_failures_have_the_exporters_words_exit_code_and_file(
    tmp_path: Path, fault: str, exit_code: int, on_stderr: str, count: int | None
) -> None:
    """A partial file is valid and agrees with itself: only words and exit code tell."""
    done = export(tmp_path, environment={"STAND_IN_FAULT": fault})
    assert done.returncode == exit_code
    assert on_stderr in done.stderr
    if count is None:
        assert not (tmp_path / "out.json").exists()
    else:
        document = json.loads((tmp_path / "out.json").read_text())
        assert document["messageCount"] == len(document["messages"]) == count


@pytest.mark.parametrize("fault", ["mid-message", "malformed", "torn", "killed", "disk-full"])
def test_damage_inside_a_message_is_no_json(tmp_path: Path, fault: str) -> None:
    """Whatever the exit code is."""
    export(tmp_path, fault=fault)
    with pytest.raises(json.JSONDecodeError):
        json.loads((tmp_path / "out.json").read_text())


def test_a_failed_run_destroys_the_file_that_was_there(tmp_path: Path) -> None:
    """The old file is truncated when the new one is opened."""
    export(tmp_path)
    export(tmp_path, fault="rate-limited")
    assert json.loads((tmp_path / "out.json").read_text())["messageCount"] == 1


@pytest.mark.parametrize(("number", "is_whole"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_only_sigint_lets_a_run_close_its_file(tmp_path: Path, number: int, is_whole: bool) -> None:
    """Closed or not, it is not complete."""
    executable = stand_in(tmp_path, fault="hang")
    arguments = [
        str(executable),
        "export",
        "-c",
        str(CHANNEL_ID),
        "-f",
        "Json",
        "-o",
        str(tmp_path / "o.json"),
    ]
    with subprocess.Popen(
        arguments, env={"DISCORD_TOKEN": TOKEN}, stdout=-3, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "o.json").exists() or not (tmp_path / "o.json").stat().st_size > 500:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, number)
        _, stderr = process.communicate(timeout=20)
    text = (tmp_path / "o.json").read_text()
    assert text.endswith('"messageCount": 1\n}') is is_whole
    assert (b"OperationCanceledException" in stderr) is is_whole
    assert process.returncode == (1 if is_whole else -number)


def test_one_forbidden_channel_among_several_does_not_fail_the_run(tmp_path: Path) -> None:
    """Exit code 0, an empty file, and the truth on standard error."""
    path = write_world(tmp_path)
    world = json.loads(path.read_text())
    world["channels"].append({"id": "1101802452224856175", "name": "secret", "fault": "forbidden"})
    executable = stand_in(tmp_path)
    path.write_text(json.dumps(world))
    ids = ("-c", str(CHANNEL_ID), "1101802452224856175")
    done = run(executable, "export", *ids, "-f", "Json", "-o", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "Successfully exported 1 channel(s)." in done.stdout
    assert (
        "secret: Request to 'channels/1101802452224856175/messages?limit=1' failed: forbidden." in done.stderr
    )
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        f"Paddock - Race weekend - team-radio [{CHANNEL_ID}].json",
        "Paddock - secret [1101802452224856175].json",
    ]


def test_channels_guilds_and_version_are_listed(tmp_path: Path) -> None:
    """The small commands."""
    executable = stand_in(tmp_path)
    assert run(executable, "--version").stdout == "v2.47\n"
    assert run(executable, "channels", "-g", "1").stdout == f"{CHANNEL_ID} | Race weekend / team-radio\n"
    assert run(executable, "guilds").stdout == "0 | Direct Messages\n690000000000000001 | Paddock\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "-f", "Json"), "-c|--channel"),
        (("export", "-c", "1", "-f", "Json", "--frobnicate"), "Unrecognized option(s):\n--frobnicate"),
        (("export", "-c", "1"), "--format Json only"),
        (("export", "-c", "1", "-f", "Json", "--after", "soon"), "Invalid snowflake 'soon'"),
        (("exportall",), "Unknown command"),
    ],
)
def test_wrong_usage_is_told_in_one_line_on_standard_error(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 1, no stack trace."""
    done = run(stand_in(tmp_path), *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "ERROR" not in done.stderr


def test_the_banner_has_eleven_lines_unless_it_is_switched_off(tmp_path: Path) -> None:
    """It is on standard output, where it would be in the way."""
    banner = run(stand_in(tmp_path), "guilds", FUCK_RUSSIA="").stdout.splitlines()[:-2]
    assert len(banner) == 11
    assert run(stand_in(tmp_path), "guilds", "--fuck-russia", FUCK_RUSSIA="").stdout.count("\n") == 2


def test_the_executable_does_not_depend_on_its_environment(tmp_path: Path) -> None:
    """Neither on PATH nor on Python's variables nor on the working directory."""
    folder = tmp_path / "a folder with 'quotes'"
    executable = stand_in(folder)
    done = subprocess.run(
        [str(executable), "--version"],
        env={"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"v2.47\n")
