"""The reader takes every layout, counts every element, and refuses damaged documents whole."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_pipeline.domain.messages.message import RawMessage
from ingest_pipeline.errors import BadInput, ExportMalformed, ExportTruncated
from ingest_pipeline.landing.exports import slices as slices_module
from ingest_pipeline.landing.exports.reader import read_document, read_export, read_header
from ingest_pipeline.landing.files.member_streams import Damage
from ingest_pipeline_tests.exports import CHANNEL_ID, GUILD_ID, REAL, START, as_bytes, export, message
from ingest_pipeline_tests.thoroughness import examples


def read(document: bytes) -> list[RawMessage | None]:
    """Read a whole document."""
    return [item for batch in read_export(io.BytesIO(document), "test.json")[1] for item in batch]


def ids(document: bytes) -> list[object]:
    """Read a whole document and return the ids in it."""
    return [item and item.id for item in read(document)]


def cut(document: bytes) -> list[bytes]:
    """Cut a whole document into its messages, as landing does."""
    return [element for batch in read_document(io.BytesIO(document), "test.json")[1] for element in batch]


LAYOUTS = {
    "as exported": as_bytes,
    "minified": lambda document: json.dumps(document, separators=(",", ":")).encode(),
    "one line": lambda document: json.dumps(document).encode(),
    "tabs": lambda document: json.dumps(document, indent="\t").encode(),
    "CRLF": lambda document: as_bytes(document).replace(b"\n", b"\r\n"),
    "byte order mark": lambda document: b"\xef\xbb\xbf" + as_bytes(document),
    "trailing line break": lambda document: as_bytes(document) + b"\n",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("name", ["general-2023.json", "overlapping-window-3.json"])
def test_every_layout_of_a_real_export_reads_alike(name: str, layout: Any) -> None:
    """White space is the exporter's business."""
    document = json.loads((REAL / name).read_bytes())
    assert ids(layout(document)) == [item["id"] for item in document["messages"]]


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096])
@pytest.mark.parametrize("indent", [None, 2])
def test_where_the_chunks_end_does_not_matter(
    chunk: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strings, escapes and brackets may be cut anywhere."""
    monkeypatch.setattr(slices_module, "CHUNK_BYTES", chunk)
    awkward = ['a "quoted" \\', "},{", "[1]", '"},\n    {"id"', "\U0001f4fb", "\\u0022", ""]
    document = export(message(index, text) for index, text in enumerate(awkward))
    got = read(as_bytes(document, indent))
    assert [item and item.content for item in got] == awkward


@pytest.mark.parametrize("indent", [None, 2])
def test_an_empty_export_has_no_messages(indent: int | None) -> None:
    """A quiet window is a complete export of nothing."""
    assert read(as_bytes(export([]), indent)) == []


def test_the_large_real_export_is_read_whole() -> None:
    """2,384 messages in 3.4 MB."""
    assert len(read((REAL / "text-channel-2384.json").read_bytes())) == 2384


def test_the_header_shows_channel_guild_and_times() -> None:
    """Bounds and the export's time come as aware UTC."""
    header = read_header(io.BytesIO(as_bytes(export([message()]))), "test.json")
    assert (header.channel_id, header.guild_id) == (CHANNEL_ID, GUILD_ID)
    assert header.exported_at is not None
    assert header.exported_at.utcoffset() is not None
    assert header.after is None


def test_direct_messages_have_no_guild() -> None:
    """The exporter writes guild 0 for them."""
    header = read_header(io.BytesIO(as_bytes(export([], guild={"id": "0", "name": "Direct Messages"}))), "x")
    assert header.guild_id is None


def test_old_exports_without_newer_keys_are_read() -> None:
    """Version 2.18 knew no exportedAt, stickers, mentions or nickname."""
    old = {"id": 5, "type": "Default", "timestamp": START.isoformat(), "content": "x", "author": {"id": 1}}
    document = {"guild": {"id": 1}, "channel": {"id": 2, "name": "c"}, "messages": [old]}
    (only,) = read(as_bytes(document))
    assert only is not None
    assert (only.id, only.stickers, only.author and only.author.nickname) == (5, None, None)


def test_an_element_that_is_no_message_is_offered_as_none() -> None:
    """A defect costs itself only, not its neighbours."""
    odd = [message(1), 7, "text", None, [], message(2, attachments={"not": "a list"}), 10**4000, message(3)]
    got = read(as_bytes(export(odd)))
    assert [item is None for item in got] == [False, True, True, True, True, True, True, False]


def test_half_a_surrogate_pair_is_fixed() -> None:
    """No database can store one; the rest of the text stays."""
    document = as_bytes(export([message(1, "MARK")])).replace(b"MARK", rb"a\ud83dz")
    (only,) = read(document)
    assert only is not None
    assert only.content == "a\ufffdz"
    assert rb"a\ud83dz" in cut(document)[0]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_cut_anywhere_is_truncated(indent: int | None) -> None:
    """Every proper prefix is recognised, whatever it ends in."""
    document = as_bytes(export([message(1, "\U0001f4fb é"), message(2)]), indent)
    for length in range(len(document)):
        with pytest.raises(ExportTruncated):
            read(document[:length])


@pytest.mark.parametrize("indent", [None, 2])
def test_of_a_document_cut_anywhere_every_whole_message_can_be_salvaged(indent: int | None) -> None:
    """No more and no fewer than stand whole before the cut, and the fault is reported."""
    document = as_bytes(export([message(1, "\U0001f4fb é"), message(2), message(3)]), indent)
    ends = [document.index(element) + len(element) for element in cut(document)]
    for length in range(document.index(b"[", document.index(b'"messages"')) + 1, len(document)):
        damage = Damage()
        _, slices = read_export(io.BytesIO(document[:length]), "test.json", damage=damage)
        assert len([item for batch in slices for item in batch]) == sum(end <= length for end in ends)
        assert isinstance(damage.error, ExportTruncated)


@pytest.mark.parametrize("chunk", [64, 128 * 1024])
def test_messages_before_damage_in_the_middle_can_be_salvaged(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of zeros ends what can be believed."""
    monkeypatch.setattr(slices_module, "CHUNK_BYTES", chunk)
    document = as_bytes(export([message(second, f"text {second}") for second in range(5)]))
    damaged = document.replace(b"text 3", b"\0" * 6)
    damage = Damage()
    _, slices = read_export(io.BytesIO(damaged), "test.json", damage=damage)
    assert [item and item.content for batch in slices for item in batch] == ["text 0", "text 1", "text 2"]
    assert isinstance(damage.error, ExportMalformed)


def test_a_message_count_that_disagrees_is_truncated() -> None:
    """A file cut after the closing bracket and fixed by hand shows only there."""
    with pytest.raises(ExportTruncated, match="messageCount 3 and holds 1"):
        read(as_bytes(export([message()], messageCount=3)))


@pytest.mark.parametrize(
    "document",
    [
        b"<html>502</html>",
        b"[]",
        b"null",
        b'{"guild": 1} x',
        as_bytes({"guild": {"id": "1"}, "channel": {"id": "2"}}),
        as_bytes(export([], channel={"name": "no id"})),
        as_bytes(export([message()])).replace(b'"content"', b'"content'),
        as_bytes(export([message(reactions=[{"emoji": {}}])])).replace(b'"emoji": {}', b'"emoji": {'),
        as_bytes(export([message(1, "X"), message(2)])).replace(b"X", b"\xff"),
        b'{"channel": {"id": 1}, "messages": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        as_bytes(export([message(1), message(2)])).replace(b"a.png", b"\xff.png", 1),
        as_bytes(export([message(1, color=float("nan")), message(2)])),
        as_bytes(export([message(1)])).replace(b"g.png", b"\xff.png"),
    ],
)
def test_what_is_not_an_export_is_malformed(document: bytes) -> None:
    """Damage to the structure refuses the document, with a remedy."""
    with pytest.raises(ExportMalformed, match=r"test\.json"):
        read(document)
    with pytest.raises(ExportMalformed, match=r"test\.json"):
        cut(document)


def test_raw_elements_are_the_bytes_of_the_document() -> None:
    """Landing keeps messages exactly as they came."""
    document = as_bytes(export([message(1, "\U0001f4fb"), message(2)]))
    _, runs = read_document(io.BytesIO(document), "test.json")
    assert all(element in document for run in runs for element in run)


@settings(max_examples=examples(80))
@given(st.binary(max_size=400))
def test_any_bytes_give_messages_or_a_typed_error(document: bytes) -> None:
    """Never another exception, never a hang."""
    with contextlib.suppress(BadInput):
        read(document)


@settings(max_examples=examples(80))
@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_a_damaged_export_gives_messages_or_a_typed_error(
    damage: list[tuple[int, int]], indented: bool
) -> None:
    """Bytes flipped anywhere in a real document."""
    document = bytearray(
        as_bytes(export([message(1, 'x "y" \U0001f4fb'), message(2)]), 2 if indented else None)
    )
    for position, byte in damage:
        document[position % len(document)] = byte
    with contextlib.suppress(BadInput):
        read(bytes(document))
