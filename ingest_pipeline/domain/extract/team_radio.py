r"""Team radio: driver and text of one message's content.

A radio message looks like ``:studio_microphone: `Leclerc` Box, box.``: an emoji, the driver as
inline code, the words ("Message Ingestion Design" notes). Which of the drivers a name means is for
`drivers.py`; whether a channel carries team radio at all is the channel's policy.

The rules, exactly:

- Leading emoji go, with the space around them: shortcodes (``:mic:``), custom ones (``<:mic:1>``,
  ``<a:mic:1>``) and Unicode ones with their modifiers, flags and keycaps; a run of several goes
  whole. Symbols that plain text uses too (``©``, ``™``, ``↔``) count as emoji only with the
  variation selector that makes them one.
- The driver is the first inline code span. As in Markdown a span opened by one backtick ends at
  the next single one and a span opened by two ends at the next two; two backticks that nothing
  closes are an empty span. An empty or blank span is taken out of the text and names no driver.
- Runs of three or more backticks open a code block, which is not a driver: it stays in the text.
- An opening backtick that nothing closes is plain text.
- Emphasis wrapped tightly around the span (``**`Leclerc`**``, ``**`Leclerc`:**``) goes with it.
- Of a message that names a driver, spoiler bars (``||``) and zero-width spaces go wherever they are, colons
  at the start of the text and at either end of the driver. Messages that name none stay as written.
"""

from __future__ import annotations

import re
from functools import lru_cache

RADIO_PARSER_VERSION = 3

# Emoji by block, since the standard library carries no emoji property (Unicode 16, emoji-data.txt).
_ALWAYS_EMOJI = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0"
    "\u25fb-\u25fe\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3297\u3299"
)
_EMOJI_WITH_SELECTOR = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u24c2\u2934\u2935\u3030\u303d"
)
_UNICODE_EMOJI = (
    "(?:[\U0001f1e6-\U0001f1ff]{2}"
    "|[0-9#*]\ufe0f?\u20e3"
    f"|[{_EMOJI_WITH_SELECTOR}]\ufe0f"
    f"|[{_ALWAYS_EMOJI}][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*)"
)
_LEADING_EMOJI = re.compile(
    r"(?:\s"
    r"|:[\w+-]{1,64}:"
    r"|<a?:\w{1,64}:[0-9]{1,20}>"
    f"|{_UNICODE_EMOJI}(?:\u200d{_UNICODE_EMOJI})*"
    "|[\u200d\ufe0e\ufe0f])*+"
)
_BACKTICKS = re.compile("`+")
_SHORTCODE = re.compile(r":[\w+-]{1,64}:\s*+")
_HIDDEN = re.compile("\\|\\||[\u200b\u2060\ufeff]")
_LAST_PLAIN_LETTER = "\u1fff"


def split_radio(content: str) -> tuple[str | None, str]:
    """Split one message's content into the driver and the words.

    Args:
        content: The whole content as Discord delivers it.

    Returns:
        The driver's name as written, trimmed, or None; and the text without leading emoji and
        without the driver's span, stripped.
    """
    if "`" in content and _HIDDEN.search(content):
        driver, text = _split(_HIDDEN.sub("", content))
        if driver:
            return driver, text
    return _split(content)


def tidy_driver(name: str) -> str | None:
    """Return a driver's name without what hides it or leads to it; None when nothing is left."""
    return _HIDDEN.sub("", name).strip().strip(":").strip() or None


def tidy_words(text: str) -> str:
    """Return what a driver says without what hides it or leads to it: bars, zero-width spaces, colons."""
    return _without_colon(_HIDDEN.sub("", text).strip())


def driver_in_title(title: str) -> str | None:
    """Return the driver whom a whole title names: in backticks, or without them after leading emoji."""
    driver, rest = split_radio(_HIDDEN.sub("", title))
    return driver or tidy_driver(rest)


def words_in_description(text: str) -> str:
    """Return the words of a text that names no driver: without leading emoji, and tidied."""
    return tidy_words(_LEADING_EMOJI.sub("", _HIDDEN.sub("", text), count=1))


def _split(content: str) -> tuple[str | None, str]:
    text = content.strip()
    if not text:
        return None, ""
    parts = text.split("`", 3)
    if len(parts) == 3 and parts[1] and (not parts[0] or _is_shortcode(parts[0])):
        return _named(parts[1], parts[2].strip())
    first = text[0]
    # Most messages start with a letter and hold no backtick: they must cost next to nothing.
    if not (first.isalpha() and first <= _LAST_PLAIN_LETTER):
        text = _LEADING_EMOJI.sub("", text, count=1)
    if len(parts) == 1:
        return None, text
    span = _first_span(text)
    if span is None:
        return None, text
    start, end, name = span
    return _named(name, _join(text, start, end))


def _named(span: str, text: str) -> tuple[str | None, str]:
    driver = span.strip().strip(":").strip()
    return (driver, _without_colon(text)) if driver else (None, text)


def _without_colon(text: str) -> str:
    # A colon may also begin the shortcode of an emoji, which is part of the words.
    while text.startswith(":") and not _SHORTCODE.match(text):
        text = text[1:].lstrip()
    return text


@lru_cache(maxsize=256)
def _is_shortcode(before: str) -> bool:
    return _SHORTCODE.fullmatch(before) is not None


def _first_span(text: str) -> tuple[int, int, str] | None:
    """Return start, end and trimmed inside of the first inline code span."""
    start = text.index("`")
    closes = text.find("`", start + 1)
    if start + 1 < closes and text[closes + 1 : closes + 2] != "`":
        return start, closes + 1, text[start + 1 : closes].strip()
    return _first_span_among_runs(text)


def _first_span_among_runs(text: str) -> tuple[int, int, str] | None:
    runs = [(match.start(), match.end()) for match in _BACKTICKS.finditer(text)]
    position = 0
    while position < len(runs):
        start, opened = runs[position]
        width = opened - start
        closing = next((i for i in range(position + 1, len(runs)) if _width(runs[i]) == width), None)
        if width <= 2 and closing is not None:
            closes, end = runs[closing]
            return start, end, text[opened:closes].strip()
        if width == 2:
            return start, opened, ""
        position = position + 1 if closing is None else closing + 1
    return None


def _width(run: tuple[int, int]) -> int:
    return run[1] - run[0]


def _join(text: str, start: int, end: int) -> str:
    """Return the text around the span, without emphasis hugging it and without a doubled space."""
    before, after = text[:start], text[end:]
    plain = before.rstrip("*_~|")
    emphasis = before[len(plain) :]
    closing = after.lstrip(":")
    if emphasis and closing.startswith(emphasis[::-1]):
        before, after = plain, closing[len(emphasis) :]
    if before.endswith(" ") and after.startswith(" "):
        after = after[1:]
    return (before + after).strip()
