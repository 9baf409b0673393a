"""Words of messages: who speaks and what is said, out of all parts of a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ingest_pipeline.domain.extract.team_radio import split_radio
from ingest_pipeline.domain.message_parts import words_of

Parts = Sequence[dict[str, str]]
DriverFrom = Literal["content", "author_name"]
Said = tuple[str | None, str]

_FORWARDED = "forwarded.content"
_TEXT_DISPLAY = "component.text"


def said_in(content: str, name: str | None, parts: Parts, driver_from: DriverFrom) -> Said:
    """Return who speaks and all words of the parts that every source carries.

    The driver is named in the content; where that is empty, in the forwarded content.

    Args:
        content: The message's own content.
        name: The author's name.
        parts: The other parts, as `parts_of` returns them.
        driver_from: Whether the content names the driver, or the author's name is one.
    """
    if content.strip() or not parts:
        driver, text = _split(content, name, driver_from)
        return driver, _joined(text, words_of(parts)) if parts else text
    forwarded = next((each["text"] for each in parts if each["at"] == _FORWARDED), "")
    driver, text = _split(forwarded, name, driver_from)
    return driver, _joined(text, words_of(parts, without=_FORWARDED))


def said_in_details(parts: Parts, name: str | None, driver_from: DriverFrom) -> Said:
    """Return who speaks and what is said in the words of details, for a message without any others.

    Args:
        parts: The parts of details; the first text display names the driver.
        name: The author's name.
        driver_from: See `said_in`.
    """
    lines: list[str] = []
    driver = None
    for each in parts:
        if driver is None and driver_from == "content" and each["at"].endswith(_TEXT_DISPLAY):
            driver, text = _split(each["text"], name, driver_from)
            lines.append(text)
        else:
            lines.append(words_of([each]))
    return driver, "\n".join(line for line in lines if line)


def _split(text: str, name: str | None, driver_from: DriverFrom) -> Said:
    return (name, text.strip()) if driver_from == "author_name" else split_radio(text)


def _joined(first: str, second: str) -> str:
    return f"{first}\n{second}" if first and second else first or second
