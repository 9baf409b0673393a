"""Words of messages: who speaks, and the words, out of all parts of a message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ingest_pipeline.domain.extract.team_radio import (
    driver_in_title,
    split_radio,
    tidy_driver,
    tidy_words,
    words_in_description,
)
from ingest_pipeline.domain.messages.parts import words_of

Parts = Sequence[dict[str, str]]
DriverFrom = Literal["content", "author_name", "embed_title", "embed_author", "embed_field"]
Speech = tuple[str | None, str]

_FORWARDED = "forwarded.content"
_TEXT_DISPLAY = "component.text"
_DRIVER_PARTS = {
    "embed_title": re.compile(r"((?:forwarded\.)?embed\[[0-9]+\])\.title"),
    "embed_author": re.compile(r"((?:forwarded\.)?embed\[[0-9]+\])\.author"),
    "embed_field": re.compile(r"((?:forwarded\.)?embed\[[0-9]+\])\.field\[[0-9]+\]"),
}
IN_EMBEDS = frozenset(_DRIVER_PARTS)
"""Places of the driver that `speech_in_embed` looks at."""


def speech_in(content: str, name: str | None, parts: Parts, driver_from: DriverFrom) -> Speech:
    """Return who speaks and all words of the parts that every source carries.

    The driver is named in the content; where that is empty, in the forwarded content. In a form of embeds
    the driver's part is no words, and what the driver says comes after the content.

    Args:
        content: The message's own content.
        name: The author's name.
        parts: The other parts, as `parts_of` returns them.
        driver_from: Whether the content names the driver, the author's name is one, or an embed has one.
    """
    if driver_from in IN_EMBEDS:
        driver, words, others = speech_in_embed(parts, driver_from)
        return driver, _joined(_joined(content.strip(), words), words_of(others))
    if content.strip() or not parts:
        driver, text = speech_in_text(content, name, driver_from)
        return driver, _joined(text, words_of(parts)) if parts else text
    forwarded = next((each["text"] for each in parts if each["at"] == _FORWARDED), "")
    driver, text = speech_in_text(forwarded, name, driver_from)
    return driver, _joined(text, words_of(parts, without=_FORWARDED))


def speech_in_details(parts: Parts, name: str | None, driver_from: DriverFrom) -> Speech:
    """Return who speaks and the words in the words of details, for a message without any others.

    Args:
        parts: The parts of details; the first text display names the driver.
        name: The author's name.
        driver_from: See `speech_in`.
    """
    lines: list[str] = []
    driver = None
    for each in parts:
        if driver is None and driver_from == "content" and each["at"].endswith(_TEXT_DISPLAY):
            driver, text = speech_in_text(each["text"], name, driver_from)
            lines.append(text)
        else:
            lines.append(words_of([each]))
    return driver, "\n".join(line for line in lines if line)


def speech_in_text(text: str, name: str | None, driver_from: DriverFrom) -> Speech:
    """Return who speaks and the words in one text, of a channel whose drivers are not in embeds.

    Args:
        text: The text.
        name: The author's name.
        driver_from: `content` or `author_name`.
    """
    return (tidy_driver(name or ""), tidy_words(text)) if driver_from == "author_name" else split_radio(text)


def speech_in_embed(parts: Parts, driver_from: DriverFrom) -> tuple[str | None, str, Parts]:
    """Return who speaks in the first embed or field that names a driver, the words there, and the rest.

    Args:
        parts: The parts of a message, as `parts_of` returns them.
        driver_from: `embed_title` or `embed_author`, where the description has the words, or
            `embed_field`, where the field's value has them.

    Returns:
        The driver or None, the words, and the parts that are neither; all parts where nobody is named.
    """
    texts = {each["at"]: each["text"] for each in parts}
    for at, text in texts.items():
        found = _DRIVER_PARTS[driver_from].fullmatch(at)
        if found is None:
            continue
        words_at = at if driver_from == "embed_field" else f"{found[1]}.description"
        name, line_break, words = (
            text.partition("\n") if words_at == at else (text, "", texts.get(words_at, ""))
        )
        driver = driver_in_title(name)
        # A field of one line has only a name, or only a value: which of them is unknown.
        if driver and (line_break or words_at != at):
            others = [each for each in parts if each["at"] not in {at, words_at}]
            return driver, words_in_description(words), others
    return None, "", parts


def _joined(first: str, second: str) -> str:
    return f"{first}\n{second}" if first and second else first or second
