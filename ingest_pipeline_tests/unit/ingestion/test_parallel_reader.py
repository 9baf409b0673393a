"""A large export is read by two processes as it is by one, whatever happens to the second."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.errors import BadInput, ExportMalformed, ExportTruncated, StorageUnavailable
from ingest_pipeline.ingestion.documents import export as export_document
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument, has_spare_core
from ingest_pipeline.landing.exports import slices as halves_module
from ingest_pipeline.landing.exports.reader import read_export, read_header
from ingest_pipeline.landing.exports.slices import Halves, halves_of
from ingest_pipeline_tests.exports import REAL, START, as_bytes, export, message, write_export

# Some are no messages, some are skipped, and some would end an element were they not inside one.
ODD: list[Any] = [
    None,
    "no message",
    {},
    message(1.5, ""),
    message(1.6, "\n    },\n    {"),
    message(1.7, "}, {", embeds=[{"title": "a", "fields": [{"name": "b", "value": "c"}]}]),
    message(1.8, "🏁 \x00 ünïcode"),
]


@pytest.fixture
def make_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], ExportDocument]:
    """Return exports as documents in files, none too small to be read by two."""
    monkeypatch.setattr(halves_module, "LEAST_BYTES", 1)
    monkeypatch.setattr(halves_module, "HEAD_START_BYTES", 0)
    monkeypatch.setattr(export_document, "has_spare_core", lambda: True)

    def make(content: bytes) -> ExportDocument:
        path = tmp_path / "export.json"
        path.write_bytes(content)
        with path.open("rb") as stream:
            header = read_header(stream, path.name)
        provenance = Provenance("monza", "file", START, "journey")
        return ExportDocument(
            lambda: path.open("rb"), path.name, header, ChannelPolicy(), None, False, provenance
        )

    return make


def read(document: ExportDocument) -> tuple[pa.Table, Tally]:
    """Read a document to its end."""
    tally = Tally()
    return pa.concat_tables(document.batches(tally)).combine_chunks(), tally


def alone(document: ExportDocument, monkeypatch: pytest.MonkeyPatch) -> tuple[pa.Table, Tally]:
    """Read a document in this process."""
    with monkeypatch.context() as patch:
        patch.setattr(export_document, "has_spare_core", lambda: False)
        return read(document)


def many() -> bytes:
    """Return an export of odd messages among others."""
    plain = [message(2 + number, f"`Leclerc` Box {number}") for number in range(60)]
    return as_bytes(export([plain[0], *ODD, *plain[1:], *ODD]))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were started."""
    started: list[int] = []
    real = subprocess.Popen

    def note(*arguments: Any, **options: Any) -> Any:
        process = real(*arguments, **options)
        started.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", note)
    return started


@pytest.mark.parametrize("name", ["odd", *sorted(path.name for path in REAL.glob("*.json"))])
def test_two_read_what_one_reads(
    name: str,
    make_document: Callable[[bytes], ExportDocument],
    processes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same rows in the same order, the same counts, the same reasons."""
    document = make_document(many() if name == "odd" else (REAL / name).read_bytes())
    expected = alone(document, monkeypatch)
    assert not processes
    assert read(document) == expected
    assert len(processes) == (expected[1].received > 2)


def commas(content: bytes) -> Iterator[int]:
    """Return where the commas between an indented export's messages stand."""
    place = content.find(b"\n    },", content.index(b'"messages"'))
    while place >= 0:
        yield place + len(b"\n    }")
        place = content.find(b"\n    },", place + 1)


def test_halves_cut_anywhere_hold_what_the_whole_does(tmp_path: Path) -> None:
    """After the first message, before the last one, and at every comma between."""
    path = tmp_path / "export.json"
    path.write_bytes(content := many())
    whole = [item for batch in read_export(io.BytesIO(content), "whole")[1] for item in batch]
    cuts = list(commas(content))
    assert len(cuts) > len(whole) // 2
    with path.open("rb") as stream:
        for cut in cuts:
            halves = Halves(stream.fileno(), len(content), cut)
            first = [item for batch in read_export(halves.first(), "first")[1] for item in batch]
            rest = read_export(halves.second(), "rest", partial(len, first))[1]
            assert first + [item for batch in rest for item in batch] == whole


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (json.dumps(export([message(1), message(2)])).encode(), "not indented"),
        (as_bytes(export([])), "no messages"),
        (as_bytes(export([message(1)])), "one message"),
    ],
)
def test_what_cannot_be_cut_is_read_by_one(
    content: bytes, why: str, make_document: Callable[[bytes], ExportDocument], processes: list[int]
) -> None:
    """There is no second process then."""
    list(make_document(content).batches(Tally()))
    assert not processes, why


def test_small_exports_and_single_cores_start_no_process(
    make_document: Callable[[bytes], ExportDocument], processes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll's export is read before another process would have started."""
    document = make_document(many())
    with monkeypatch.context() as patch:
        patch.setattr(halves_module, "LEAST_BYTES", 64 * 1024 * 1024)
        read(document)
    cores = os.sched_getaffinity(0)
    with monkeypatch.context() as patch:
        patch.setattr(export_document, "has_spare_core", has_spare_core)
        try:
            os.sched_setaffinity(0, {min(cores)})
            read(document)
        finally:
            os.sched_setaffinity(0, cores)
    assert not processes


def test_streams_that_are_no_files_are_not_cut(tmp_path: Path) -> None:
    """Such as those of an object store."""
    import gzip

    path = tmp_path / "export.json.gz"
    path.write_bytes(gzip.compress(many()))
    with gzip.open(path) as stream:
        assert halves_of(stream) is None  # type: ignore[arg-type]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off in its second half": lambda content: content[:-400],
    "cut off before its count": lambda content: content[: content.rindex(b'"messageCount"')],
    "another count": lambda content: content.replace(b'"messageCount": 74', b'"messageCount": 75'),
    "damaged in its second half": lambda content: content.replace(b"Box 58", b'Box " 58'),
    "damaged in its first half": lambda content: content.replace(b"Box 3", b'Box " 3'),
    "not UTF-8 in its second half": lambda content: content.replace(b"Box 58", b"Box \xff 58"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_reported_as_by_one(
    damage: Callable[[bytes], bytes],
    make_document: Callable[[bytes], ExportDocument],
    processes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In either half: the same error, of the same file; places in the text may be counted otherwise."""
    content = damage(many())
    assert content != many()
    document = make_document(content)
    with pytest.raises(BadInput) as expected:
        alone(document, monkeypatch)
    assert type(expected.value) in {ExportMalformed, ExportTruncated}
    with pytest.raises(type(expected.value)) as reported:
        read(document)
    assert len(processes) == 1
    assert str(reported.value).split("(")[0] == str(expected.value).split("(")[0]


def test_a_document_that_is_replaced_after_its_header_was_read_is_reported_as_that(
    make_document: Callable[[bytes], ExportDocument], tmp_path: Path
) -> None:
    """No row of the new one is taken for one of the old, whose time and bounds would not hold for it."""
    document = make_document(as_bytes(export([message(0)])))
    write_export(tmp_path / document.name, [message(1)], exportedAt="2030-01-01T00:00:00+00:00")
    with pytest.raises(StorageUnavailable, match="was replaced while it was read"):
        read(document)


def test_a_second_process_that_is_killed_costs_time_only(
    make_document: Callable[[bytes], ExportDocument],
    processes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its half is read by the first one, and that is reported."""
    document = make_document(many())
    expected = alone(document, monkeypatch)
    tally = Tally()
    tables = document.batches(tally)
    first = next(tables)
    os.kill(processes[0], signal.SIGKILL)
    assert (pa.concat_tables([first, *tables]).combine_chunks(), tally) == expected
    assert "the second half of an export ended with code -9: the half is read here" in caplog.text


def test_nothing_is_left_of_a_reading_that_is_given_up(
    make_document: Callable[[bytes], ExportDocument], processes: list[int]
) -> None:
    """The process has ended and been waited for."""
    tables = make_document(many()).batches(Tally())
    next(tables)
    tables.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(processes[0], 0)
