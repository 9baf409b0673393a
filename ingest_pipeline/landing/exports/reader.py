"""A streaming reader of exporter JSON, in memory bounded by one slice for a file of any size.

Each slice of the message array is decoded with a typed decoder. A slice that will not decode is
taken element by element: an element that is JSON but no message costs itself only (it is yielded as
None, for the caller to count), while damage to the document's structure rejects the whole file.

The shape is DiscordChatExporter's (Core/Exporting/JsonMessageWriter.cs, versions 2.18 to 2.48).
What the messages mean is for `domain/messages/normalize.py`.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, BinaryIO, TypeVar

import msgspec
import pyarrow as pa

from ingest_pipeline.domain.messages.message import Id, RawMessage
from ingest_pipeline.domain.snowflake import parse_snowflake
from ingest_pipeline.errors import BadInput, ExportMalformed, ExportTruncated
from ingest_pipeline.landing.exports.header import Envelope, ExportHeader, header_of
from ingest_pipeline.landing.exports.slices import CHUNK_BYTES, elements, slices
from ingest_pipeline.landing.files.member_streams import Damage

_OPENING = re.compile(rb'"messages"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
# The work on a slice has a fixed cost too, so a slice is many runs; a run fits the processor's cache.
_SLICE_BYTES = 512 * 1024
_HEADER_BYTES = 4 * 1024 * 1024
Element = TypeVar("Element")
_MOST_DIGITS = 400
_BOM = b"\xef\xbb\xbf"


def read_export(
    stream: BinaryIO, name: str, before: Callable[[], int] = int, damage: Damage | None = None
) -> tuple[ExportHeader, Iterator[list[RawMessage | None]]]:
    """Read an export's header and offer its messages in slices, in the file's order.

    Args:
        stream: The document's bytes, read once from here to the end.
        name: What to call it in errors.
        before: Returns, when the last message was read, how many of the document are not in the stream.
        damage: Where to note a fault among the messages, before which they end then; None to raise it.

    Returns:
        The header, and an iterator of slices (some hundred messages each), where None stands for
        an element that is no message. Only a caller that exhausts it knows the document is whole.

    Raises:
        ExportMalformed: Not JSON of the exporter's shape; also from the iterator.
        ExportTruncated: The document ends too early, or its `messageCount` is not the number of
            elements; also from the iterator.
    """
    head, buffer = _split_head(stream, name)
    header = header_of(_decode_envelope(head, name), name)
    decoder = msgspec.json.Decoder(list[RawMessage])
    return header, _decoded(
        stream, buffer, name, lambda run: _decode_run(decoder, run, name), before=before, damage=damage
    )


def read_header(stream: BinaryIO, name: str) -> ExportHeader:
    """Read only an export's header, which stands before its messages.

    Raises:
        ExportMalformed: Not JSON of the exporter's shape.
        ExportTruncated: The document ends before its messages.
    """
    return header_of(_decode_envelope(_split_head(stream, name)[0], name), name)


class _Identity(msgspec.Struct):
    """A message of which only the id matters."""

    id: Id = None


def read_ids(stream: BinaryIO, name: str) -> Iterator[list[int]]:
    """Read an export for the ids of its messages alone, in slices, in the file's order.

    Raises:
        ExportMalformed: As for `read_export`.
        ExportTruncated: As for `read_export`.
    """
    _, buffer = _split_head(stream, name)
    decoder = msgspec.json.Decoder(list[_Identity])

    def decode(run: bytes) -> list[int]:
        try:
            found = decoder.decode(b"[" + run + b"]")
        except (msgspec.DecodeError, RecursionError):
            return []
        return [number for each in found if (number := parse_snowflake(each.id))]

    for run, is_rest in slices(stream, buffer):
        yield decode(_split_rest(run, name)[0] if is_rest else run)


def read_document(stream: BinaryIO, name: str) -> tuple[dict[str, Any], Iterator[list[bytes]]]:
    """Read an export's head as plain JSON and offer its messages as the bytes they are.

    Returns:
        Everything before the message array, and an iterator of slices of elements.

    Raises:
        ExportMalformed: As for `read_export`.
        ExportTruncated: As for `read_export`.
    """
    head, buffer = _split_head(stream, name)
    header_of(_decode_envelope(head, name), name)
    return dict(_plain(head, name)), _decoded(stream, buffer, name, lambda run: _raw_elements(run, name))


def _split_head(stream: BinaryIO, name: str) -> tuple[bytes, bytes]:
    """Return what stands before `"messages"`, closed to an object, and what follows its `[`."""
    buffer = stream.read(CHUNK_BYTES).removeprefix(_BOM)
    if not buffer.strip():
        raise ExportTruncated(f"{name} is empty: export it again")
    if not buffer.lstrip().startswith(b"{"):
        raise ExportMalformed(f"{name} is not a JSON object: give a file exported with --format Json")
    while not (opening := _OPENING.search(buffer)):
        chunk = stream.read(CHUNK_BYTES)
        if not chunk or len(buffer) > _HEADER_BYTES:
            raise _no_messages(buffer, name)
        buffer += chunk
    return buffer[: opening.start()].rstrip().removesuffix(b",") + b"}", buffer[opening.end() :]


def _no_messages(buffer: bytes, name: str) -> ExportMalformed | ExportTruncated:
    """Say why a document without a message array cannot be read: cut off, or of another kind."""
    try:
        json.loads(text := buffer.decode().rstrip())
    except UnicodeDecodeError as error:
        if error.end >= len(buffer):
            return ExportTruncated(f"{name} ends before its messages: export it again")
        return ExportMalformed(f"{name} is not UTF-8 ({error}): export it again")
    except (ValueError, RecursionError) as error:
        if _is_cut_off(error, len(text)):
            return ExportTruncated(f"{name} ends before its messages: export it again")
        return ExportMalformed(f"{name} is not JSON ({error}): export it again")
    return ExportMalformed(
        f"{name} has no array 'messages' at its top level: give a file exported with --format Json"
    )


def _is_cut_off(error: Exception, length: int) -> bool:
    """Return whether a JSON error is that the text ends too early; an escape may be cut in two."""
    if not isinstance(error, json.JSONDecodeError) or error.msg == "Extra data":
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= length - len(r"\uXXXX")


def _decode_envelope(document: bytes, name: str) -> Envelope:
    try:
        # The decoder does not look into what it skips.
        document.decode()
        return msgspec.json.decode(document, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExportMalformed(f"{name} has a damaged header ({error}): export it again") from error


def _decoded(
    stream: BinaryIO,
    buffer: bytes,
    name: str,
    decode: Callable[[bytes], list[Element]],
    *,
    before: Callable[[], int] = int,
    damage: Damage | None = None,
) -> Iterator[list[Element]]:
    """Yield the elements, those of some runs at a time, and check at the end that the document is whole."""
    count = pending_bytes = 0
    pending: list[Element] = []
    trailer = b"}"
    for run, is_rest in slices(stream, buffer):
        try:
            elements_of_run, trailer = _decode_part(run, name, decode, is_rest=is_rest)
        except BadInput as error:
            if damage is None:
                raise
            damage.note(error)
            yield pending + [each for whole in _whole_elements(run) for each in decode(whole)]
            return
        pending += elements_of_run
        pending_bytes += len(run)
        if is_rest or pending_bytes >= _SLICE_BYTES:
            count += len(pending)
            yield pending
            pending, pending_bytes = [], 0
    try:
        _require_count(trailer, count + before(), name)
    except BadInput as error:
        if damage is None:
            raise
        damage.note(error)


def _decode_part(
    run: bytes, name: str, decode: Callable[[bytes], list[Element]], *, is_rest: bool
) -> tuple[list[Element], bytes]:
    """Return the elements of a part of the array, and what follows the array if it is the last."""
    body, trailer = run, b"}"
    if is_rest:
        body, trailer = _split_rest(run, name)
    else:
        _require_utf8(run, name)
    return decode(body) if body.strip() else [], trailer


def _require_count(trailer: bytes, count: int, name: str) -> None:
    stated = _decode_envelope(b"{" + trailer, name).message_count
    if stated is not None and stated != count:
        raise ExportTruncated(
            f"{name} states messageCount {stated} and holds {count} messages: export it again"
        )


def _whole_elements(run: bytes) -> Iterator[bytes]:
    """Yield the elements of a damaged part that stand whole before the damage."""
    try:
        text = run.decode()
    except UnicodeDecodeError as error:
        text = run[: error.start].decode()
    position = 0
    while gap := _BETWEEN.match(text, position):
        try:
            _, position = _DECODER.raw_decode(text, gap.end())
        except (ValueError, RecursionError):
            return
        yield text[gap.end() : position].encode()


def _split_rest(rest: bytes, name: str) -> tuple[bytes, bytes]:
    """Split the end of a document into its last elements and what follows the closing bracket.

    Only the end is parsed in the ordinary way, because only there the position of a fault distinguishes a
    document that was cut off from one that is damaged.
    """
    try:
        text = "[" + rest.decode()
        _, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError as error:
        if error.end >= len(rest):
            raise ExportTruncated(f"{name} ends inside a character: export it again") from error
        raise ExportMalformed(f"{name} is not UTF-8 ({error}): export it again") from error
    except json.JSONDecodeError as error:
        if _is_cut_off(error, len(text.rstrip())):
            raise ExportTruncated(f"{name} ends inside its messages: export it again") from error
        raise ExportMalformed(f"{name} is damaged inside a message ({error}): export it again") from error
    except (ValueError, RecursionError) as error:
        raise ExportMalformed(f"{name} holds a value that cannot be read ({error})") from error
    trailer = text[end:].strip()
    if not trailer.endswith("}"):
        raise ExportTruncated(f"{name} ends before its messageCount: export it again")
    return text[1 : end - 1].encode(), trailer.removeprefix(",").encode()


def _decode_run(
    decoder: msgspec.json.Decoder[list[RawMessage]], run: bytes, name: str
) -> list[RawMessage | None]:
    try:
        return list(decoder.decode(b"[" + run + b"]"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_decode_element(element, name) for element in elements(run)]


def _raw_elements(run: bytes, name: str) -> list[bytes]:
    try:
        raw = msgspec.json.decode(b"[" + run + b"]", type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What can be decoded the slow way is kept as it is.
        listed = [element.strip() for element in elements(run)]
        for element in listed:
            _plain(element, name)
        return listed
    return [bytes(element) for element in raw]


def _decode_element(element: bytes, name: str) -> RawMessage | None:
    """Decode one element the slow way: half surrogate pairs are fixed, other shapes give None."""
    value = _plain(element, name)
    try:
        return msgspec.convert(_mend(value), RawMessage)
    except (msgspec.ValidationError, RecursionError):
        return None


def _plain(document: bytes, name: str) -> Any:
    """Parse JSON into plain values.

    Raises:
        ExportMalformed: It is not JSON, or not UTF-8.
    """
    try:
        return _DECODER.decode(document.decode())
    except (ValueError, RecursionError) as error:
        raise ExportMalformed(f"{name} is damaged ({error}): export it again") from error


def _require_utf8(run: bytes, name: str) -> None:
    # The decoder does not look into what it skips, and what lands must be readable however it is cut.
    # Arrow looks without making text of it, which for one emoji is four times as large.
    ends = pa.py_buffer(array("q", [0, len(run)]))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(run)]).validate(full=True)
    except pa.ArrowInvalid:
        try:
            run.decode()
        except UnicodeDecodeError as error:
            raise ExportMalformed(f"{name} is not UTF-8 ({error}): export it again") from error


def _number(text: str) -> float | None:
    """Return a JSON number; None for one beyond all numbers, which could not be written as JSON again."""
    value = float(text)
    return value if isfinite(value) else None


def _integer(text: str) -> float | None:
    """Return a JSON integer; Python refuses to convert thousands of digits, for their cost."""
    return int(text) if len(text) < _MOST_DIGITS else _number(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# As strict as the decoder of whole slices, but for half surrogate pairs.
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_no_constant)


def _mend(value: Any) -> Any:
    """Replace half surrogate pairs, which no database can store, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value
