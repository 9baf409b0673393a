"""The picture of messages per minute."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from ingest_pipeline.domain.window import Window
from ingest_pipeline.orchestration.pictures import as_markdown, messages_per_minute_svg

START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def bars(svg: str) -> list[int]:
    """Return how many bars each of the two colours has."""
    paths = [path.get("d", "") for path in ET.fromstring(svg) if path.tag.endswith("path")]  # noqa: S314
    return [path.count("z") for path in paths[:2]]


def test_a_picture_is_well_formed_and_names_its_scale() -> None:
    """Title, highest count and times are written on it."""
    counts = [(START, 3), (START + 2 * MINUTE, 17)]
    svg = messages_per_minute_svg(counts, Window(START, START + 10 * MINUTE), None, "monza")
    texts = [text.text for text in ET.fromstring(svg) if text.tag.endswith("text")]  # noqa: S314
    assert texts == ["monza: messages per minute", "17", "0", "14:00 UTC", "14:05 UTC", "14:10 UTC"]


def test_the_window_stands_out() -> None:
    """Bars of the window have a colour of their own."""
    counts = [(START + index * MINUTE, 1) for index in range(10)]
    window = Window(START + 5 * MINUTE, START + 7 * MINUTE)
    assert bars(messages_per_minute_svg(counts, Window(START, START + 10 * MINUTE), window, "monza")) == [
        8,
        2,
    ]


def test_a_long_session_stays_a_small_picture() -> None:
    """A day has bars of four minutes, and the document stays below forty kilobytes."""
    counts = [(START + index * MINUTE, index % 50) for index in range(24 * 60)]
    svg = messages_per_minute_svg(counts, Window(START, START + timedelta(days=1)), None, "day")
    assert "messages per 4 minutes" in svg
    assert sum(bars(svg)) <= 360
    assert len(as_markdown(svg, "day")) < 20_000


def test_no_message_is_an_empty_chart() -> None:
    """Nothing is divided by nothing."""
    svg = messages_per_minute_svg([], Window(START, START + timedelta(seconds=20)), None, "quiet")
    assert bars(svg) == [0, 0]


def test_a_session_that_starts_inside_a_minute_keeps_its_first_bar() -> None:
    """That minute begins before the session does."""
    start = START + timedelta(seconds=40)
    svg = messages_per_minute_svg([(START, 4)], Window(start, start + 3 * MINUTE), None, "late")
    assert sum(bars(svg)) == 1


def test_the_markdown_carries_the_whole_drawing() -> None:
    """Dagster shows data URIs in Markdown as images."""
    svg = messages_per_minute_svg([], Window(START, START + MINUTE), None, "monza")
    found = re.fullmatch(r"!\[words\]\(data:image/svg\+xml;base64,(.+)\)", as_markdown(svg, "words"))
    assert found
    assert b64decode(found[1]).decode() == svg
