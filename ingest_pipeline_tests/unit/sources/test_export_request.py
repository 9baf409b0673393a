"""What an export is asked for, and what is taken as its answer, to the last field and id."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.domain.snowflake import created_at, first_id_at
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ExportMismatch, ExportTruncated
from ingest_pipeline.sources.exporter.export_request import ExportRequest, check_export, write_empty_export
from ingest_pipeline_tests.exports import CHANNEL_ID, START, message, write_export

WINDOW = Window(START, START + timedelta(minutes=5))
REQUEST = ExportRequest(CHANNEL_ID, WINDOW)
MILLISECOND = timedelta(milliseconds=1)
NAME = f"channel {CHANNEL_ID} from 2026-09-06T13:00:00+00:00 to 2026-09-06T13:05:00+00:00"


def checked(folder: Path, *messages: Any, **head: Any) -> int:
    """Check an export that says it was asked for `REQUEST`, and return how many messages it has."""
    asked = {"after": REQUEST.after.isoformat(), "before": REQUEST.before.isoformat()}
    path = write_export(folder / "export.json", messages, **{"dateRange": asked, **head})
    header, count = check_export(path, REQUEST)
    assert header.channel_id == CHANNEL_ID
    return count


def test_a_request_asks_for_its_window_and_the_millisecond_before_it() -> None:
    """Its name in messages is its channel and both ends."""
    assert str(REQUEST) == NAME
    assert (REQUEST.after, REQUEST.before) == (WINDOW.start - MILLISECOND, WINDOW.end)


def test_an_answer_is_counted_whole(tmp_path: Path) -> None:
    """What is no message or has no id counts, too."""
    assert checked(tmp_path, message(1), message(2), 7, message(3, id="x")) == 4


def test_an_id_outside_the_range_is_refused_and_one_at_its_edge_is_not(tmp_path: Path) -> None:
    """Half-open, but for the millisecond of the upper bound and for what a thread began with."""
    low, high = first_id_at(REQUEST.after), first_id_at(REQUEST.before)
    inside = [low, low + 1, high - 1, high, high + (1 << 22) - 1, CHANNEL_ID, CHANNEL_ID - 1]
    assert checked(tmp_path, *(message(1, id=str(each)) for each in inside)) == len(inside)
    for outside in (low - 1, high + (1 << 22)):
        with pytest.raises(ExportMismatch, match=f"^{NAME.replace('+', '[+]')}: .*{outside}") as refused:
            checked(tmp_path, message(1), message(1, id=str(outside)))
        assert created_at(outside).isoformat() in str(refused.value) or str(outside) in str(refused.value)


def test_an_export_that_ends_too_early_is_named(tmp_path: Path) -> None:
    """By its request, since its file has a name of its own."""
    checked(tmp_path, message(1))
    path = tmp_path / "export.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ExportTruncated, match=f"^the export of {NAME.replace('+', '[+]')}"):
        check_export(path, REQUEST)


def test_an_answer_to_another_question_is_refused(tmp_path: Path) -> None:
    """Another channel's, or of another range."""
    other = {"id": str(CHANNEL_ID + 1), "type": "GuildTextChat", "name": "x"}
    with pytest.raises(ExportMismatch, match=f": the exporter delivered channel {CHANNEL_ID + 1}: check"):
        checked(tmp_path, channel=other)
    asked = {"after": REQUEST.after.isoformat(), "before": REQUEST.before.isoformat()}
    for name in ("after", "before"):
        with pytest.raises(ExportMismatch, match=f"took --{name} 2026-09-06T.* for nothing: check"):
            checked(tmp_path, dateRange=asked | {name: None})
        with pytest.raises(ExportMismatch, match=f"took --{name} .* for 2026-09-06T12:00:00[+]00:00: check"):
            checked(tmp_path, dateRange=asked | {name: "2026-09-06T12:00:00Z"})


def test_an_empty_export_is_one_that_newer_exporters_write(tmp_path: Path) -> None:
    """And it answers its request."""
    write_empty_export(tmp_path / "empty.json", REQUEST, START)
    assert json.loads((tmp_path / "empty.json").read_text()) == {
        "guild": {"id": None, "name": None, "iconUrl": None},
        "channel": {"id": str(CHANNEL_ID), "type": None, "name": None, "topic": None},
        "dateRange": {"after": REQUEST.after.isoformat(), "before": REQUEST.before.isoformat()},
        "exportedAt": START.isoformat(),
        "messages": [],
        "messageCount": 0,
    }
    assert check_export(tmp_path / "empty.json", REQUEST)[1] == 0
