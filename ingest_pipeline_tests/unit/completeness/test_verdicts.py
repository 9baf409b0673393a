"""A percentage says 100 only when everything agrees."""

from __future__ import annotations

import pytest

from ingest_pipeline.completeness.comparison import Comparison, compare, fresh_reading
from ingest_pipeline.completeness.verdicts import ChannelVerdict, VerificationReport, percent_text


def verdict(compared: int, differing: int = 0, error: str | None = None) -> ChannelVerdict:
    """Return a verdict on so many messages."""
    found = ChannelVerdict(1, None, None, 0, 10, compared=compared, error=error)
    if differing:
        found.reasons["lost"] = differing
    return found


@pytest.mark.parametrize(
    ("compared", "differing", "percent", "text"),
    [
        (4, 0, 100.0, "100.00 %"),
        (1_000_000_000, 1, 99.99, "99.99 %"),
        (100_000, 4, 99.99, "99.99 %"),
        (3, 1, 66.66, "66.66 %"),
        (5, 5, 0.0, "0.00 %"),
        (0, 0, None, "unknown"),
    ],
)
def test_a_percentage_is_cut(compared: int, differing: int, percent: float | None, text: str) -> None:
    """Never rounded up."""
    found = verdict(compared, differing)
    assert found.agreeing_percent == percent
    assert percent_text(found.agreeing_percent) == text
    assert found.as_dict()["agreeing_percent"] == percent


def test_what_could_not_be_read_has_no_percentage() -> None:
    """Nobody knows what is there, so the whole has none either."""
    assert verdict(5, error="forbidden").agreeing_percent is None
    assert VerificationReport((verdict(5), verdict(5, error="forbidden")), 1.0).agreeing_percent is None


def test_a_report_takes_all_channels_together() -> None:
    """By messages, not by channels."""
    report = VerificationReport((verdict(1), verdict(999_999, 1)), 1.0)
    assert report.agreeing_percent == 99.99
    assert report.as_dict()["compared"] == 1_000_000
    assert VerificationReport((), 1.0).agreeing_percent is None


def test_what_is_no_message_is_never_exact() -> None:
    """The policy cannot be asked about it."""
    reading = fresh_reading(1, [], [])
    reading.skipped["malformed"] = 2
    reading.skipped["outside_window"] = 1
    found: Comparison = compare(reading, {}, [], [], shows_starter=False)
    assert (found.reasons, found.compared, found.differences) == ({"unreadable": 2}, 2, [])
    assert found.skipped == {"malformed": 2, "outside_window": 1}
