"""The exporter runner: what it believes, what it refuses, and what it never lets out."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import (
    AddressBlocked,
    ChannelForbidden,
    ChannelNotFound,
    ConfigurationError,
    ExporterFailed,
    ExporterUnavailable,
    ExportMalformed,
    ExportMismatch,
    ExportTruncated,
    IngestError,
    IntentMissing,
    RateLimited,
    StorageRejected,
    TokenRejected,
)
from ingest_pipeline.landing.exports.reader import read_export
from ingest_pipeline.sources.exporter.chat_exporter import NO_MESSAGES, ChatExporter, ExportRequest
from ingest_pipeline_tests.exports import message as exported_message
from ingest_pipeline_tests.exports import write_export
from ingest_pipeline_tests.unit.sources.exporter_worlds import (
    CHANNEL_ID,
    FOUR_MESSAGES,
    REQUEST,
    START,
    TOKEN,
    WINDOW,
    exporter,
    files_in,
    message,
    stand_in,
    write_world,
)

# Fault of the fake, the error it becomes, a word of its remedy, whether a file was left behind.
FAILURES: list[tuple[str, type[IngestError], str, bool]] = [
    ("bad-token", TokenRejected, "DISCORD_OAUTH_TOKEN", False),
    ("not-found", ChannelNotFound, "check the channel id", False),
    ("forbidden-channel", ChannelForbidden, "View Channel", False),
    ("forbidden", ChannelForbidden, "Read Message History", True),
    ("forbidden-exit-0", ChannelForbidden, "Read Message History", True),
    ("forum", ChannelNotFound, "ids of its threads", False),
    ("missing-intent", IntentMissing, "developer portal", True),
    ("rate-limited", RateLimited, "wait some minutes", True),
    ("server-error", ExporterFailed, "bad gateway", True),
    ("bad-request", AddressBlocked, "address is blocked", True),
    ("partial", ExporterFailed, "ended prematurely", True),
    ("network-down", ExporterFailed, "Name or service not known", False),
    ("mid-message", ExporterFailed, "Failed to export message", True),
    ("killed", ExporterFailed, "SIGKILL", True),
    ("disk-full", StorageRejected, "free space", True),
    ("no-icu", ExporterUnavailable, "libicu", False),
    ("echo-token", ExporterFailed, "HTTP request", False),
    ("malformed", ExportMalformed, "export it again", True),
    ("torn", ExportTruncated, "export it again", True),
    ("miscounted", ExportTruncated, "messageCount 5", True),
    ("other-channel", ExportMismatch, "check its version", True),
    ("other-range", ExportMismatch, "--after", True),
    ("out-of-range", ExportMismatch, "outside what was asked", True),
    ("no-file", ExporterFailed, "left no file", False),
]


def test_a_complete_export_is_one_new_file_in_the_directory(tmp_path: Path) -> None:
    """Success leaves exactly the document, whole, and the result describes it."""
    result = exporter(tmp_path).export(REQUEST, tmp_path / "out")
    with result.path.open("rb") as stream:
        header, batches = read_export(stream, "export")
        ids = [read.id for batch in batches for read in batch if read]
    assert files_in(tmp_path / "out") == [result.path]
    assert list((tmp_path / "out").iterdir()) == [result.path]
    assert ids == [written["id"] for written in FOUR_MESSAGES]
    assert (result.channel_id, result.window, result.message_count) == (CHANNEL_ID, WINDOW, 4)
    assert result.exported_at == header.exported_at
    assert result.warnings == ()


def test_two_exports_into_one_directory_do_not_touch_each_other(tmp_path: Path) -> None:
    """Every run has a file of its own."""
    runner = exporter(tmp_path)
    first, second = (runner.export(REQUEST, tmp_path / "out") for _ in range(2))
    assert first.path != second.path
    assert files_in(tmp_path / "out") == sorted([first.path, second.path])


@pytest.mark.parametrize(
    ("fault", "expected", "word", "leaves_file"), FAILURES, ids=[row[0] for row in FAILURES]
)
def test_every_known_failure_is_a_typed_error_that_names_its_remedy(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    expected: type[IngestError],
    word: str,
    leaves_file: bool,
) -> None:
    """A failed run leaves nothing but its damaged file in quarantine, and lets no token out."""
    caplog.set_level(logging.DEBUG)
    good = tmp_path / "out" / "good.json"
    good.parent.mkdir()
    good.write_text("{}")
    with pytest.raises(expected) as caught:
        exporter(tmp_path, fault=fault).export(REQUEST, tmp_path / "out")
    assert type(caught.value) is expected
    assert word in str(caught.value)
    assert f"channel {CHANNEL_ID}" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == [good]
    quarantined = files_in(tmp_path / "quarantine")
    assert [path.name for path in quarantined] == (["export.json", "reason.json"] if leaves_file else [])
    seen = f"{caught.value!r} {caplog.text}" + "".join(
        path.read_text(errors="replace") for path in quarantined
    )
    assert TOKEN not in seen
    assert TOKEN[-20:] not in seen


def test_a_quarantined_file_has_its_reason_beside_it(tmp_path: Path) -> None:
    """The sidecar says what was asked, what was said, and what it was taken for."""
    with pytest.raises(RateLimited) as caught:
        exporter(tmp_path, fault="rate-limited").export(REQUEST, tmp_path / "out")
    damaged, sidecar = files_in(tmp_path / "quarantine")
    reason = json.loads(sidecar.read_text())
    assert sidecar == damaged.with_name("reason.json")
    # The trap itself: a whole document whose count agrees, of a run that failed.
    assert json.loads(damaged.read_text())["messageCount"] == 1
    assert reason["file"] == damaged.name
    assert reason["error"] == "RateLimited"
    assert reason["reason"] == str(caught.value)
    assert reason["exit_code"] == 1
    assert "too many requests" in reason["stderr"]
    assert (reason["channel_id"], reason["start"]) == (str(CHANNEL_ID), WINDOW.start.isoformat())


def test_without_a_quarantine_damaged_files_are_deleted(tmp_path: Path) -> None:
    """No folder given means nothing is kept."""
    runner = ChatExporter(stand_in(tmp_path, fault="partial"), SecretStr(TOKEN), timeout_seconds=30)
    with pytest.raises(ExporterFailed):
        runner.export(REQUEST, tmp_path / "out")
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize("token", [None, ""])
def test_a_missing_token_is_a_matter_of_configuration(tmp_path: Path, token: str | None) -> None:
    """The exporter asks for it, and the error says where it belongs."""
    secret = None if token is None else SecretStr(token)
    with pytest.raises(ConfigurationError, match=r"set DISCORD_OAUTH_TOKEN in \.env"):
        ChatExporter(stand_in(tmp_path), secret).export(REQUEST, tmp_path / "out")


def test_a_wrong_token_is_refused_and_not_shown(tmp_path: Path) -> None:
    """Neither the right nor the wrong token stands in the error."""
    with pytest.raises(TokenRejected) as caught:
        exporter(tmp_path, token="Bot wrong-but-secret").export(REQUEST, tmp_path / "out")
    assert "wrong-but-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "wording"),
    [
        ({"messages": [message(-900), message(900)]}, None),
        ({"messages": []}, "does not contain any messages; an empty file"),
        ({"messages": [message(-900)]}, "within the specified period"),
    ],
    ids=["between messages", "empty channel", "after the last message"],
)
def test_a_range_without_messages_is_an_empty_success(
    tmp_path: Path, changes: dict[str, Any], wording: str | None
) -> None:
    """An empty document is complete, and the result warns that it may mean something else."""
    result = exporter(tmp_path, **changes).export(REQUEST, tmp_path / "out")
    assert json.loads(result.path.read_text())["messages"] == []
    assert result.message_count == 0
    assert result.warnings[-1] == NO_MESSAGES
    assert wording is None or any(wording in warning for warning in result.warnings)


def test_an_old_exporters_error_for_an_empty_range_is_an_empty_success_too(tmp_path: Path) -> None:
    """Up to 2.44 it ends with exit code 1 and no file: the document is written in its place."""
    result = exporter(tmp_path, fault="empty-old").export(REQUEST, tmp_path / "out")
    with result.path.open("rb") as stream:
        header, batches = read_export(stream, "export")
        assert [read for batch in batches for read in batch] == []
    assert (header.channel_id, header.after, header.before) == (CHANNEL_ID, REQUEST.after, REQUEST.before)
    assert header.exported_at == result.exported_at == result.started_at
    assert (result.message_count, result.warnings[-1]) == (0, NO_MESSAGES)


def test_the_lowest_id_of_a_window_is_in_its_export(tmp_path: Path) -> None:
    """Discord returns ids above the bound only, so the bound lies below the window's first id."""
    first = message(0, low_bits=0)
    last = {"id": str(first_id_at(WINDOW.end) - 1)}
    beyond = {"id": str(first_id_at(WINDOW.end))}
    result = exporter(tmp_path, messages=[first, last, beyond]).export(REQUEST, tmp_path / "out")
    ids = [read["id"] for read in json.loads(result.path.read_text())["messages"]]
    assert ids == [first["id"], last["id"]]


def test_bounds_between_milliseconds_lose_nothing(tmp_path: Path) -> None:
    """A message in the millisecond that the window's end cuts belongs to the window."""
    window = Window(START, START + timedelta(seconds=60, microseconds=500))
    result = exporter(tmp_path).export(ExportRequest(CHANNEL_ID, window), tmp_path / "out")
    ids = [read["id"] for read in json.loads(result.path.read_text())["messages"]]
    assert ids == [written["id"] for written in FOUR_MESSAGES[:2]]


def test_times_before_discord_are_asked_from_its_beginning(tmp_path: Path) -> None:
    """They would wrap around to a huge id."""
    window = Window(START.replace(year=2001), WINDOW.end)
    result = exporter(tmp_path).export(ExportRequest(CHANNEL_ID, window), tmp_path / "out")
    assert result.message_count == 4


def test_a_message_in_the_millisecond_of_the_upper_bound_is_tolerated(tmp_path: Path) -> None:
    """The exporter lets it through; whoever reads the document drops it."""
    assert exporter(tmp_path, fault="leak").export(REQUEST, tmp_path / "out").message_count == 5


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The error names the directory and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageRejected, match="cannot be written"):
        exporter(tmp_path).export(REQUEST, tmp_path / "file" / "out")


def test_the_quarantine_keeps_the_newest_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that fails for days does not fill the disk."""
    monkeypatch.setattr("ingest_pipeline.landing.quarantine.KEPT", 2)
    runner = exporter(tmp_path, fault="partial")
    for _ in range(4):
        with pytest.raises(ExporterFailed):
            runner.export(REQUEST, tmp_path / "out")
    assert len(files_in(tmp_path / "quarantine")) == 4


def test_a_quarantine_that_cannot_be_written_does_not_hide_the_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The damaged file goes, the error stays, and the log has it."""
    (tmp_path / "quarantine").write_text("in the way")
    with pytest.raises(RateLimited):
        exporter(tmp_path, fault="rate-limited").export(REQUEST, tmp_path / "out")
    assert "it was deleted" in caplog.text
    assert files_in(tmp_path / "out") == []


def test_a_fault_that_passes_is_forgotten(tmp_path: Path) -> None:
    """The fault file beside the world rules while it is there."""
    runner = exporter(tmp_path)
    fault = write_world(tmp_path).with_name("world.json.fault")
    fault.write_text("rate-limited\n")
    with pytest.raises(RateLimited):
        runner.export(REQUEST, tmp_path / "out")
    fault.unlink()
    assert runner.export(REQUEST, tmp_path / "out").message_count == 4


def test_a_threads_file_is_known_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    """An exporter that does not fill in the channel's id in a file's name is read like any other."""
    posted_at = (START + timedelta(seconds=1)).isoformat()
    posted = {**exported_message(0), **FOUR_MESSAGES[0], "timestamp": posted_at}
    head: dict[str, Any] = {
        "channel": {"id": "77", "type": "PublicThread", "name": "lap 1"},
        "dateRange": {
            "after": (START - timedelta(milliseconds=1)).isoformat(),
            "before": REQUEST.window.end.isoformat(),
        },
    }
    thread = write_export(tmp_path / "thread.json", [posted], **head)
    script = tmp_path / "odd"
    script.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncp {thread} "$2"\n')
    script.chmod(0o755)
    (found,) = ChatExporter(script, SecretStr(TOKEN)).export_threads(REQUEST, tmp_path / "out")
    assert (found.channel_id, found.message_count) == (77, 1)
