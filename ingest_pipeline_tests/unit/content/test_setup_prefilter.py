"""What Arrow leaves out before trade setups are parsed."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_pipeline.content.kinds.trade_setups import TRADE_SETUPS_KIND
from ingest_pipeline.domain.extract.setup_message import _has_hint

PIECES = [
    *("set-up", "SETUP", "\u017fetup", "break", "bia\u017f", "\u0130", "agg", "aggr", "aggre", "con", "cons"),
    *(
        "long",
        "longs",
        "Short",
        "over",
        "above",
        "under",
        "beneath",
        "rejects",
        "bouncing",
        "bulls",
        "conserv",
    ),
    *("1", "150", " ", "\n", ".", "_", "-", "\u00e9", "\u00df", "\ufb06", "\u212a", "\u00b2", "\u0661"),
    *(
        "\u200b",
        "\u2060",
        "\ufe0f",
        "\ufeff",
        "\u26a0",
        "\U0001f53b",
        "\u25bd",
        "\u2197",
        "x",
        "bo",
        "chart_with",
    ),
]


def passes(text: str) -> bool:
    """Tell whether the prefilter lets a text pass."""
    assert TRADE_SETUPS_KIND.prefilter
    messages = pa.table({"words": pa.array([text, "caf\u00e9"], pa.string())})
    return bool(TRADE_SETUPS_KIND.prefilter(messages).to_pylist()[0])


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_no_text_with_a_hint_is_left_out(text: str) -> None:
    """Whatever the case, markup or invisible letters: the prefilter only saves time."""
    if _has_hint(text):
        assert passes(text)


@pytest.mark.parametrize(
    "text", ["Box, box.", "caf\u00e9 at the track", "control", "overtake", "hello \U0001f600"]
)
def test_chat_is_left_out(text: str) -> None:
    """So that no parser looks at most messages."""
    assert not passes(text)
