"""The charts of runs and reports."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree as ET

from ingest_pipeline.domain.window import Window
from ingest_pipeline.reporting.charts import (
    as_markdown,
    bar_width,
    drivers_chart,
    latency_chart,
    messages_chart,
    width_name,
)
from ingest_pipeline.reporting.facts import SessionFacts, Talk

START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATH = "{http://www.w3.org/2000/svg}path"


def bars(svg: str) -> list[int]:
    """Return how many bars the pale and the strong colour have."""
    outlines = {path.get("fill"): path.get("d", "") for path in ET.fromstring(svg).iter(PATH)}  # noqa: S314
    return [outlines[colour].count("z") for colour in ("#a6cee3", "#0072b2")]


def texts(svg: str) -> list[str]:
    """Return the words of a drawing, which has to be well-formed."""
    return [text.text or "" for text in ET.fromstring(svg) if text.tag.endswith("text")]  # noqa: S314


def latencies(*seconds: float, slow: float | None = None) -> SessionFacts:
    """Return what a chart of delays needs of a session's facts."""
    facts = SimpleNamespace(
        latencies_seconds=seconds, median_latency_seconds=seconds[0], slow_latency_seconds=slow
    )
    return cast("SessionFacts", facts)


def test_a_picture_is_well_formed_and_names_its_scale() -> None:
    """Title, round counts, times and the date are written on it."""
    counts = [(START, 3), (START + 2 * MINUTE, 17)]
    written = texts(messages_chart(counts, Window(START, START + 10 * MINUTE), "monza"))
    assert written[:5] == ["monza: messages per minute (UTC)", "0", "5", "10", "15"]
    assert written[5:] == ["14:00", "14:02", "14:04", "14:06", "14:08", "14:10", "01 March 2026"]


def test_the_window_stands_out() -> None:
    """Bars of the window have a colour of their own, which all have without a window."""
    counts = [(START + index * MINUTE, 1) for index in range(10)]
    window = Window(START + 5 * MINUTE, START + 7 * MINUTE)
    span = Window(START, START + 10 * MINUTE)
    assert bars(messages_chart(counts, span, "monza", highlighted=window)) == [8, 2]
    assert bars(messages_chart(counts, span, "monza")) == [0, 10]


def test_a_long_session_stays_a_small_picture() -> None:
    """A day has bars of five minutes, and the document stays below forty kilobytes."""
    counts = [(START + index * MINUTE, index % 50) for index in range(24 * 60)]
    svg = messages_chart(counts, Window(START, START + timedelta(days=1)), "day")
    assert "messages per 5 minutes" in svg
    assert sum(bars(svg)) <= 360
    assert len(as_markdown(svg, "day")) < 20_000


def test_no_message_is_an_empty_chart() -> None:
    """Nothing is divided by nothing."""
    svg = messages_chart([], Window(START, START + timedelta(seconds=20)), "quiet")
    assert bars(svg) == [0, 0]
    assert "no messages" in texts(svg)


def test_a_session_that_starts_inside_a_minute_keeps_its_first_bar() -> None:
    """That minute begins before the session does."""
    start = START + timedelta(seconds=40)
    svg = messages_chart([(START, 4)], Window(start, start + 3 * MINUTE), "late")
    assert sum(bars(svg)) == 1


def test_the_markdown_carries_the_whole_drawing() -> None:
    """Dagster shows data URIs in Markdown as images."""
    svg = messages_chart([], Window(START, START + MINUTE), "monza")
    found = re.fullmatch(r"!\[words\]\(data:image/svg\+xml;base64,(.+)\)", as_markdown(svg, "words"))
    assert found
    assert b64decode(found[1]).decode() == svg


def test_bars_are_of_round_lengths_and_few_enough() -> None:
    """A race is counted by the minute, an archive of years by the week; both say so."""
    lengths = [timedelta(hours=2), timedelta(hours=7), timedelta(days=3), timedelta(days=575)]
    names = [width_name(bar_width(Window(START, START + length))) for length in lengths]
    assert names == ["minute", "2 minutes", "15 minutes", "7 days"]
    for days in range(1, 3000, 97):
        length = timedelta(days=days)
        assert length / bar_width(Window(START, START + length)) <= 360


def test_times_of_several_days_have_their_dates() -> None:
    """Of two days the day and month, of forty the year too; never more than ten."""
    for days, first in ((2, ["18:00", "01 Mar"]), (40, ["06 Mar", "2026"])):
        written = texts(messages_chart([(START, 1)], Window(START, START + timedelta(days=days)), "long"))
        assert written[3:5] == first
        assert len(written[3:]) <= 20


def test_messages_are_seen_where_nothing_is_proven() -> None:
    """The shade of a gap lies behind the bars, not over them, and its meaning is written."""
    span = Window(START, START + 10 * MINUTE)
    svg = messages_chart([(START, 3), (START + MINUTE, 5)], span, "monza", unproven=[span])
    assert "not proven complete" in texts(svg)
    fills = [path.get("fill") for path in ET.fromstring(svg).iter(PATH)]  # noqa: S314
    assert fills.index("#0072b2") > max(place for place, fill in enumerate(fills) if fill == "url(#gap)")
    assert "url(#gap)" not in messages_chart([(START, 3)], span, "monza")


def test_the_longest_bar_is_the_most_frequent_driver_and_an_unknown_one_is_grey() -> None:
    """Names are text whatever they hold, and are cut where they would leave the picture."""
    evil = "<b>&\x00 \x1b[31m"
    svg = drivers_chart(
        [Talk("A", "Ferrari", 1200), Talk(evil, None, 300, is_known=False), Talk("L" * 40, "X", 3)]
    )
    assert texts(svg) == ["A", "1,200", "<b>& [31m", "300", "L" * 24 + "…", "3"]
    drawn = list(ET.fromstring(svg).iter(PATH))  # noqa: S314
    assert [path.get("fill") for path in drawn] == ["#0072b2", "#aeb4bf", "#0072b2"]
    ends = [float(path.get("d", "").partition("H")[2].partition("v")[0]) for path in drawn]
    assert ends == sorted(ends, reverse=True)


def test_delays_are_drawn_however_few_or_many() -> None:
    """One message has a median and no 95 of 100; a hundred thousand make no larger document."""
    assert "median 3.0 s" in texts(latency_chart(latencies(3.0)))
    assert "95 % 810.2 s" in texts(latency_chart(latencies(2.0, 1.0, 900.0, slow=810.2)))
    assert texts(latency_chart(latencies(0.0, 0.0)))[-1] == "median 0.0 s"
    assert len(latency_chart(latencies(*(place / 1000 for place in range(100_000))))) < 150_000
