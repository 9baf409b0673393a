"""What Arrow leaves out before trade setups are parsed."""

from __future__ import annotations

from itertools import product

import pyarrow as pa
import pytest

from ingest_pipeline.content.kinds.trade_setups import TRADE_SETUPS_KIND
from ingest_pipeline.domain.extract.setups.message import _has_hint

AROUND = [
    "",
    " ",
    "\n",
    ".",
    "_",
    "x",
    "1",
    "150",
    " 1",
    "\u00e9",
    "\u00df",
    "\u00b2",
    "\u0661",
    "\ufe0f",
    "bo",
]
HINTS = [
    *("set-up", "SETUP", "\u017fetup", "se\u200btup", "break", "bia\u017f", "bullish", "bearish", "neutral"),
    *(
        "agg",
        "aggr",
        "aggressive",
        "con",
        "cons",
        "conserv",
        "con\u2060servative",
        "long",
        "lo\u200dngs",
        "Short",
    ),
    *(
        "over",
        "a\ufeffbove",
        "below",
        "under",
        "beneath",
        "rejects",
        "bouncing",
        "bulls",
        "buyers",
        "sellers",
    ),
    *("arrow_", "triangle", "warning:", "chart_with", "\u26a0", "\U0001f53b", "\u25bd", "\u2197", "\u2935"),
]
TEXTS = [f"{before}{hint}{after}" for before, hint, after in product(AROUND, HINTS, AROUND)]


def passed(texts: list[str]) -> list[bool]:
    """Return which texts the prefilter lets pass."""
    assert TRADE_SETUPS_KIND.prefilter
    found: list[bool] = TRADE_SETUPS_KIND.prefilter(
        pa.table({"words": pa.array(texts, pa.string())})
    ).to_pylist()
    return found


def test_no_text_with_a_hint_is_left_out() -> None:
    """Whatever the case, markup or invisible letters: the prefilter only saves time."""
    missed = [
        text for text, passes in zip(TEXTS, passed(TEXTS), strict=True) if _has_hint(text) and not passes
    ]
    assert missed == []


@pytest.mark.parametrize("text", ["Box, box.", "caf\u00e9 at the track", "control", "hi \U0001f600"])
def test_chat_is_left_out(text: str) -> None:
    """So that no parser looks at most messages."""
    assert passed([text]) == [False]
