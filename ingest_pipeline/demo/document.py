"""Exports written byte for byte like DiscordChatExporter's JsonMessageWriter.cs.

Two spaces of indent, LF, no line break at the end. Characters outside the basic plane, control and
private characters and every space but the ordinary one are escaped with upper-case digits
(.NET's `JavaScriptEncoder.UnsafeRelaxedJsonEscaping`); all else is plain UTF-8. Each message is
flushed, so a killed run leaves a file that ends wherever it was.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000'
    "\ud800-\udfff\ue000-\uf8ff\U00010000-\U0010ffff]"
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_INDENT = "  "


def timestamp(moment: datetime, *, utc: bool, tenths_of_microsecond: int = 0) -> str:
    """Return a time as .NET writes it: up to seven digits of fraction, trailing zeros trimmed.

    Args:
        moment: An aware time.
        utc: Write it in UTC, else in this computer's time zone; an offset either way, never `Z`.
        tenths_of_microsecond: The seventh digit, which a datetime cannot hold.
    """
    shown = moment.astimezone(UTC if utc else None)
    fraction = f"{shown.microsecond:06d}{tenths_of_microsecond}".rstrip("0")
    offset = shown.isoformat()[-6:]
    return shown.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + offset


def encode(value: Any, level: int, *, utc: bool) -> str:
    """Return a value as indented JSON, its first line not indented.

    Args:
        value: Objects, arrays, text, numbers, booleans, None, and datetimes.
        level: How deep it stands.
        utc: As for `timestamp`.
    """
    match value:
        case dict():
            items = [f"{_text(key)}: {encode(item, level + 1, utc=utc)}" for key, item in value.items()]
            return _block("{}", items, level)
        case list():
            return _block("[]", [encode(item, level + 1, utc=utc) for item in value], level)
        case datetime():
            return _text(timestamp(value, utc=utc))
        case str():
            return _text(value)
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case _:
            return str(value)


class ExportWriter:
    """An export being written; leaving the context closes the document, also after an error.

    Like the exporter it opens its file at the first message, or at the end when there is none.

    Args:
        path: The file, which is truncated.
        head: Everything that stands before the messages.
        utc: As for `timestamp`.
    """

    def __init__(self, path: Path, head: dict[str, Any], *, utc: bool) -> None:
        """Keep the settings; the file is not touched yet."""
        self.count = 0
        self._path = path
        self._head = head
        self._utc = utc
        self._file: BinaryIO | None = None
        self._is_torn = False

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the array and the document, whatever happened (MessageExporter.DisposeAsync)."""
        file = self._opened()
        if self._is_torn:
            file.truncate(max(file.tell() - 40, 1))
        else:
            end = "\n  ]" if self.count else "]"
            self._write(f'{end},\n  "messageCount": {self.count}\n}}')
        file.close()

    def message(self, document: dict[str, Any]) -> None:
        """Write one message."""
        self._element(encode(document, 2, utc=self._utc))

    def half_message(self, document: dict[str, Any]) -> None:
        """Write a message up to some place inside it, and count it, as a failure there does."""
        text = encode(document, 2, utc=self._utc)
        self._element(text[: text.index('"embeds"')].rstrip(", \n"))

    def tear(self) -> None:
        """Let the file end inside its last message, as after a lost power supply."""
        self._is_torn = True

    def _element(self, text: str) -> None:
        self._write(f"{',' if self.count else ''}\n    {text}")
        self.count += 1

    def _write(self, text: str) -> None:
        file = self._opened()
        file.write(text.encode())
        file.flush()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("wb")
            head = encode(self._head, 0, utc=self._utc).removesuffix("\n}")
            self._file.write(f'{head},\n  "messages": ['.encode())
        return self._file


def _block(brackets: str, items: list[str], level: int) -> str:
    if not items:
        return brackets
    opening, closing = brackets[0], brackets[1]
    indent = _INDENT * (level + 1)
    inner = f",\n{indent}".join(items)
    return f"{opening}\n{indent}{inner}\n{_INDENT * level}{closing}"


def _text(value: str) -> str:
    return f'"{_ESCAPED.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    units = character.encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"\\u{units[index : index + 4]}" for index in range(0, len(units), 4))
