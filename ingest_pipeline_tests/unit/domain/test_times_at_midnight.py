"""A time of seven digits is cut to microseconds everywhere: no message changes its day, window or order."""

from __future__ import annotations

import importlib
import io
import pkgutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pyarrow as pa
import pytest

import ingest_pipeline
from ingest_pipeline.demo.simulated_session import parse_start
from ingest_pipeline.domain.messages.normalize import ChannelPolicy, parse_timestamp
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.domain.snowflake import first_id_at
from ingest_pipeline.domain.window import WindowGrid
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.documents.payloads import ObservedMessage, PayloadDocument
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.landing.store import LandingStore
from ingest_pipeline.sources.exporter.export_request import ExportRequest, check_export
from ingest_pipeline_tests.exports import CHANNEL_ID, message, write_export

MIDNIGHT = datetime(2026, 5, 16, tzinfo=UTC)
LATE = "2026-05-15T23:59:59.9999997+00:00"
CUT = MIDNIGHT - timedelta(microseconds=1)
SESSION = Session("monza", MIDNIGHT - timedelta(minutes=10), MIDNIGHT + timedelta(minutes=5), (CHANNEL_ID,))
WINDOWS = [(key, window) for key in WindowGrid().keys if (window := WindowGrid().window(key, SESSION.window))]
LATE_ID = str(first_id_at(MIDNIGHT - timedelta(milliseconds=1)) + 7)
READ_AT = MIDNIGHT + timedelta(hours=1)


def at_midnight(folder: Path) -> Path:
    """Write an export with a message of the last tick of a day, edited in the last tick of a minute."""
    late = message(0, "`late`", id=LATE_ID, timestamp=LATE, timestampEdited=LATE.replace("T23:59", "T23:58"))
    request = ExportRequest(CHANNEL_ID, SESSION.window)
    between = {"after": request.after.isoformat(), "before": request.before.isoformat()}
    return write_export(folder / "export.json", [late], dateRange=between, exportedAt=LATE)


def rows(document: ExportDocument | PayloadDocument) -> list[dict[str, object]]:
    """Return what a document is normalized to."""
    found: list[dict[str, object]] = pa.concat_tables(document.batches(Tally())).to_pylist()
    return found


def test_an_export_lands_and_is_normalized_in_the_window_of_the_day_it_was_posted_on(tmp_path: Path) -> None:
    """From the exporter's file through its check and the cut into windows to the row."""
    export = at_midnight(tmp_path)
    assert check_export(export, ExportRequest(CHANNEL_ID, SESSION.window))[1] == 1
    landed = LandingStore(str(tmp_path / "landing")).land(export, "monza", WINDOWS, CHANNEL_ID, READ_AT)
    headers = [document.header() for document in landed]
    assert [document.path.read_bytes().count(b"`late`") for document in landed] == [0, 1, 0]
    assert {header.exported_at for header in headers} == {CUT}
    found = [
        rows(
            ExportDocument(
                document.open,
                "landed",
                header,
                ChannelPolicy(),
                document.window,
                complete=True,
                provenance=Provenance("monza", "export", READ_AT, "journey"),
            )
        )
        if document.key == "T+005m"
        else []
        for document, header in zip(landed, headers, strict=True)
    ]
    ((row,),) = [each for each in found if each]
    assert (row["posted_at"], row["edited_at"]) == (CUT, CUT - timedelta(minutes=1))


def test_what_rest_returns_is_the_same_row(tmp_path: Path) -> None:
    """Of the same message, at the same microsecond."""
    payload = {
        "id": LATE_ID,
        "channel_id": str(CHANNEL_ID),
        "type": 0,
        "content": "`late`",
        "timestamp": LATE,
        "edited_timestamp": LATE.replace("T23:59", "T23:58"),
        "author": {"id": "594020924865620473", "username": "radio"},
    }
    (read,) = rows(
        PayloadDocument(
            channel_id=CHANNEL_ID,
            guild_id=None,
            messages=[ObservedMessage(int(LATE_ID), payload, READ_AT)],
            policies={CHANNEL_ID: ChannelPolicy()},
            provenance=Provenance(None, "history", READ_AT, "journey"),
        )
    )
    raw = at_midnight(tmp_path).read_bytes()
    (exported,) = rows(
        ExportDocument(
            lambda: io.BytesIO(raw),
            "export",
            read_header(io.BytesIO(raw), "export"),
            ChannelPolicy(),
            SESSION.window,
            complete=False,
            provenance=Provenance("monza", "file", READ_AT, "journey"),
        )
    )
    same = ("discord_id", "posted_at", "edited_at", "content_digest")
    assert {name: read[name] for name in same} == {name: exported[name] for name in same}


@pytest.mark.parametrize("digits", ["9", "999", "999999", "9999997", "99999999", "999999999999"])
def test_every_reader_of_a_time_cuts(digits: str) -> None:
    """A tick before midnight is that day's, with as many digits as there are."""
    text = f"2026-05-15T23:59:59.{digits}+00:00"
    expected = datetime(2026, 5, 15, 23, 59, 59, int(f"{digits:0<6}"[:6]), tzinfo=UTC)
    assert parse_timestamp(text) == expected
    assert parse_timestamp(text.replace("+00:00", "Z")) == expected
    assert datetime.fromisoformat(text) == expected
    assert parse_start(text) == expected


def test_no_structure_lets_the_json_decoder_read_a_time() -> None:
    """It rounds (msgspec 0.23: into the next day), so times are decoded as the texts they are."""
    for module in pkgutil.walk_packages(ingest_pipeline.__path__, "ingest_pipeline."):
        if not module.name.endswith(("__main__", ".definitions")):
            importlib.import_module(module.name)
    structures = [
        each for each in _subclasses(msgspec.Struct) if each.__module__.startswith("ingest_pipeline.")
    ]
    assert len(structures) > 10
    decoded = {
        f"{each.__module__}.{each.__name__}.{name}"
        for each in structures
        for name, kind in get_type_hints(each).items()
        if any(word in str(kind) for word in ("datetime", "timedelta"))
    }
    assert decoded == set()


def _subclasses(kind: type[Any]) -> list[type[Any]]:
    return [each for child in kind.__subclasses__() for each in [child, *_subclasses(child)]]
