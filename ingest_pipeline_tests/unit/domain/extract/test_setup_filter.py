"""Which messages are about trade setups, and that the cheap look never misses one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.setups.chat import is_chat
from ingest_pipeline.domain.extract.setups.message import may_plan_trades, plans_trades
from ingest_pipeline.domain.extract.setups.tokens import LEADING_WORDS
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups
from ingest_pipeline_tests.exports import REAL

NOW = datetime(2025, 5, 29, 12, 0, tzinfo=UTC)
WORDS = sorted(
    {
        *LEADING_WORDS,
        *(
            "Set-Ups",
            "setup",
            "\u017fetup",
            "A+",
            "Scalp",
            "Bias",
            "NVDA",
            "$spy",
            "SPY:",
            "141.33",
            "138-139",
            "May 29",
            "5/29/2025",
            "2nd of *May*",
            "Ideas -",
            "Plan B:",
            "Ticker:",
            "A1",
            "I",
            "the",
            "https://x.y",
        ),
        *(
            "break out",
            "breaking down",
            "br\u200beakout",
            "*Breakdown*",
            "_short_",
            "`bounce`",
            "BREA\u212aOUT",
        ),
        *(
            "\u26a0\ufe0f",
            ":warning:",
            "\U0001f53b",
            ":small_red_triangle_down:",
            ":arrow_up_small:",
            "\u2192",
        ),
        *(
            "Target",
            "TP1",
            "stop",
            "above",
            "near",
            "bullish",
            "leaning",
            "long-term",
            "longs,",
            "1)",
            "~~",
            "---",
        ),
        *("Box", "along", "\n", "\n", "\n"),
    }
)


@given(
    st.lists(st.sampled_from([*WORDS, *(word.upper() for word in WORDS)]), max_size=12), st.text(max_size=3)
)
def test_what_the_cheap_look_dismisses_plans_nothing(words: list[str], glue: str) -> None:
    """No setup or bias of a ticker is ever lost by not parsing; a date alone plans nothing."""
    for content in (" ".join(words), f"{glue} ".join(words)):
        message = parse_setups(content, NOW)
        if not may_plan_trades(content):
            assert not message.setups
            assert not (message.tickers and message.biases)
        if is_chat(content):
            assert not plans_trades(message)


@pytest.mark.parametrize(
    ("content", "is_plan"),
    [
        ("A+ Scalp Trade Setups", True),
        ("NVDA\nBreakout above 150", True),
        ("NVDA\nBreakout above 15O", True),
        ("Breakout above 150", True),
        ("TSLA\n\u26a0\ufe0f Bias \u2014 bearish", True),
        ("\u26a0\ufe0f yellow flag in sector 2", False),
        ("Box, box. Long stint ahead", False),
        ("an aggressive move into turn 3", False),
        ("over 100 \u2192 105 viewers!", False),
        ("NVDA over 100 \u2192 105", True),
        ("DRS", False),
        ("NVDA\nTarget: soon", False),
        ("\u2014\u2014\u2014", False),
        ("", False),
    ],
)
def test_chat_is_distinguished_from_plans(content: str, is_plan: bool) -> None:
    """A line that only might be a setup needs a ticker near it."""
    found = may_plan_trades(content) and plans_trades(parse_setups(content, NOW))
    assert found is is_plan


def test_a_busy_channel_of_chat_holds_no_plans() -> None:
    """Not one of two thousand real messages is taken for one."""
    import json

    export = json.loads((REAL / "text-channel-2384.json").read_bytes())
    assert not [each for each in export["messages"] if plans_trades(parse_setups(each["content"], NOW))]
