"""Lines of a wording seen before are read as if each were the first of its kind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.setups import shapes as setup_shapes
from ingest_pipeline.domain.extract.setups import trade_setups
from ingest_pipeline.domain.extract.setups.message import SetupMessage
from ingest_pipeline.domain.extract.setups.shapes import read_alike
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups

NOW = datetime(2025, 5, 29, 12, 0, tzinfo=UTC)
SETUP = "\U0001f53b Aggressive Breakdown Below 141.33 \U0001f53b 139.90, 138.40"
WORDS = (
    *("Breakdown", "breakout", "Bounce Zone", "Rejection", "long", "Short", "aggressive", "Aggr.", "(cons)"),
    *("above", "below", "near", "between", "to", "-", "\u2013", "target", "TP1", "targets:", "stop", "SL"),
    *("\U0001f53b", "\U0001f53c", "\u2192", "\u274c", "\u26a0\ufe0f", ":x:", "(", ")", ",", "and", "|"),
    *("NVDA", "SPY:", "1)", "May", "bias", "bullish", "~~", "**", "note", "yet"),
    *("141.33", "139", "1400", "138.5", "150,", "138.50-139.00", "2025", "29", "5", "141,40", "600000"),
)
PRICES = ("131.2", "142.50", "139", "1410", "138.25", "150.00", "700000", "12", "7")


def alone(content: str, monkeypatch: pytest.MonkeyPatch) -> SetupMessage:
    """Read a message line by line, whatever was read before."""
    with monkeypatch.context() as patch:
        patch.setattr(trade_setups, "read_alike", lambda _: None)
        return parse_setups(content, NOW)


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=5),
    st.lists(st.sampled_from(PRICES), min_size=3, max_size=3),
)
def test_what_is_seen_again_is_read_as_if_it_were_new(lines: list[str], prices: list[str]) -> None:
    """With the same prices, and with others, whatever stands above."""
    content = "\n".join(lines)
    other = content
    for old, new in zip(("141.33", "139", "138.5"), prices, strict=True):
        other = other.replace(old, new)
    with pytest.MonkeyPatch.context() as patch:
        for each in (content, other, content, other, f"NVDA\n{content}", f"Breakdown\n{other}"):
            assert parse_setups(each, NOW) == alone(each, patch)


def test_a_line_worded_like_others_is_read_by_their_wording() -> None:
    """From the third on; with prices too far apart it is left to the grammar, which refuses it."""
    setup_shapes._wordings.clear()
    other = SETUP.replace("141.33", "142.10").replace("138.40", "137.20")
    assert (read_alike(SETUP), read_alike(SETUP)) == (None, None)
    found = read_alike(other)
    assert found is not None
    assert (str(found[1].low), [str(each) for each in found[1].targets]) == ("142.10", ["139.90", "137.20"])
    assert read_alike(SETUP.replace("141.33", "999.33")) is None


def test_no_more_wordings_are_kept_than_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel of chat with numbers fills no memory."""
    monkeypatch.setattr(setup_shapes, "_MOST_WORDINGS", 5)
    for word in "abcdefghijk":
        read_alike(f"{word} 141.33")
    assert len(setup_shapes._wordings) <= 5
