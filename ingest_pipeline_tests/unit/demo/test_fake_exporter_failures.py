"""The fake exporter when it fails: the real one's words, exit codes and remains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest_pipeline_tests.unit.sources.exporter_worlds import (
    CHANNEL_ID,
    TOKEN,
    export,
    run,
    run_here,
    stand_in,
    write_world,
)


@pytest.fixture(autouse=True)
def _sigint_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


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
        ("slow:0.01", 0, "", 4),
        ("hang:0.01", 0, "", 4),
        ("no-file", 0, "", None),
    ],
)
def test_failures_have_the_exporters_words_exit_code_and_file(
    tmp_path: Path, fault: str, exit_code: int, on_stderr: str, count: int | None
) -> None:
    """A partial file is valid and agrees with itself: only words and exit code show it."""
    done = export(tmp_path, environment={"STAND_IN_FAULT": fault})
    assert done.returncode == exit_code
    assert on_stderr in done.stderr
    if count is None:
        assert not (tmp_path / "out.json").exists()
    else:
        document = json.loads((tmp_path / "out.json").read_text())
        assert document["messageCount"] == len(document["messages"]) == count


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [("mid-message", 1), ("malformed", 0), ("torn", 0), ("killed", -signal.SIGKILL), ("disk-full", 1)],
)
def test_damage_inside_a_message_is_no_json(tmp_path: Path, fault: str, exit_code: int) -> None:
    """Whatever the exit code is."""
    if fault in {"killed", "disk-full"}:
        command = ("export", "-c", str(CHANNEL_ID), "-f", "Json", "-o", str(tmp_path / "out.json"))
        done = run(stand_in(tmp_path, fault=fault), *command)
    else:
        done = export(tmp_path, fault=fault)
    assert done.returncode == exit_code
    with pytest.raises(json.JSONDecodeError):
        json.loads((tmp_path / "out.json").read_text())


def test_a_token_is_needed_and_has_to_be_the_right_one(tmp_path: Path) -> None:
    """Given by environment or, in the open, by option."""
    assert "-t|--token" in export(tmp_path, environment={"DISCORD_TOKEN": ""}).stderr
    assert "token is invalid" in export(tmp_path, environment={"DISCORD_TOKEN": "wrong"}).stderr
    assert export(tmp_path, "-t", TOKEN, environment={"DISCORD_TOKEN": ""}).returncode == 0
    assert export(tmp_path, environment={"DISCORD_TOKEN": ""}, token=None).returncode == 0


def test_a_forum_and_an_unknown_channel_cannot_be_exported(tmp_path: Path) -> None:
    """The simulated world reports them, without any fault."""
    assert "is a forum" in export(tmp_path, channel={"type": "GuildForum"}).stderr
    assert "failed: not found" in export(tmp_path, channel={"id": "1101802452224856170"}).stderr


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
        deadline = time.monotonic() + 90
        while not (tmp_path / "o.json").exists() or not (tmp_path / "o.json").stat().st_size > 500:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, number)
        _, stderr = process.communicate(timeout=120)
    text = (tmp_path / "o.json").read_text()
    assert text.endswith('"messageCount": 1\n}') is is_whole
    assert (b"OperationCanceledException" in stderr) is is_whole
    assert process.returncode == (1 if is_whole else -number)


def test_one_forbidden_channel_among_several_does_not_fail_the_run(tmp_path: Path) -> None:
    """Exit code 0, an empty file, and the truth on standard error."""
    path = write_world(tmp_path)
    world = json.loads(path.read_text())
    world["channels"].append({"id": "1101802452224856175", "name": "secret", "fault": "forbidden"})
    path.write_text(json.dumps(world))
    ids = ("-c", str(CHANNEL_ID), "1101802452224856175")
    done = run_here(path, "export", *ids, "-f", "Json", "-o", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "Successfully exported 1 channel(s)." in done.stdout
    assert (
        "secret: Request to 'channels/1101802452224856175/messages?limit=1' failed: forbidden." in done.stderr
    )
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        f"Paddock - Race weekend - team-radio [{CHANNEL_ID}].json",
        "Paddock - secret [1101802452224856175].json",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("export", "-f", "Json"), "-c|--channel"),
        (("export", "-c", "1", "-f", "Json", "--frobnicate"), "Unrecognized option(s):\n--frobnicate"),
        (("export", "-c", "1"), "--format Json only"),
        (("export", "-c", "1", "-f", "Json", "--after", "soon"), "Invalid snowflake 'soon'"),
        (("exportall",), "Unknown command"),
    ],
)
def test_wrong_usage_is_reported_in_one_line_on_standard_error(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    """Exit code 1, no stack trace."""
    done = run_here(write_world(tmp_path), *arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "ERROR" not in done.stderr
