"""The chart of messages per minute, small and cheap enough for every tick.

Drawn as SVG by hand, about a millisecond and a few kilobytes: importing a plotting library alone
takes most of a second, which a run every 30 seconds cannot spare. Dagster shows images of Markdown
metadata when they are data URIs.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta

from ingest_pipeline.domain.window import Window

_MINUTE = timedelta(minutes=1)
_MAX_BARS = 360
_LEFT, _TOP, _WIDTH, _HEIGHT = 44, 34, 660, 120
_BASE = _TOP + _HEIGHT
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 184" width="720" height="184" '
    'font-family="sans-serif" font-size="11" fill="#555"><rect width="720" height="184" rx="6" fill="#fff"/>'
)


def messages_per_minute_svg(
    counts: Sequence[tuple[datetime, int]], span: Window, highlighted: Window | None, title: str
) -> str:
    """Draw a bar chart of messages per minute.

    Args:
        counts: Minutes (aware UTC) with their number of messages; minutes without any may be left out.
        span: The time shown; a long one has bars of several minutes each.
        highlighted: The part of it in the strong colour, or None.
        title: Written above the bars; letters, digits and punctuation of a session id only.

    Returns:
        An SVG document.
    """
    step = _MINUTE * max(1, -(-int((span.end - span.start) / _MINUTE) // _MAX_BARS))
    bars = _bars(counts, span, step)
    top = max(bars.values(), default=0)
    unit = "minute" if step == _MINUTE else f"{step // _MINUTE} minutes"
    strong = {
        index for index in bars if highlighted and _overlaps(span.start + index * step, step, highlighted)
    }
    parts = [
        _FRAME,
        f'<text x="{_LEFT}" y="20" font-size="13" fill="#222">{title}: messages per {unit}</text>',
        _path(
            {index: count for index, count in bars.items() if index not in strong}, top, span, step, "#b9b4f7"
        ),
        _path({index: bars[index] for index in strong}, top, span, step, "#4f43dd"),
        f'<path d="M{_LEFT} {_BASE}h{_WIDTH}" stroke="#999"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 9}" text-anchor="end">{top}</text>',
        f'<text x="{_LEFT - 6}" y="{_BASE}" text-anchor="end">0</text>',
        *_times(span),
        "</svg>",
    ]
    return "".join(parts)


def as_markdown(svg: str, description: str) -> str:
    """Return Markdown that shows a drawing inline."""
    return f"![{description}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def _bars(counts: Sequence[tuple[datetime, int]], span: Window, step: timedelta) -> dict[int, int]:
    bars: dict[int, int] = {}
    for minute, count in counts:
        # The first minute of a span that starts inside a minute begins before it.
        index = max((minute - span.start) // step, 0)
        if minute < span.end:
            bars[index] = bars.get(index, 0) + count
    return bars


def _overlaps(start: datetime, step: timedelta, window: Window) -> bool:
    return start < window.end and window.start < start + step


def _path(bars: dict[int, int], top: int, span: Window, step: timedelta, colour: str) -> str:
    width = _WIDTH * (step / (span.end - span.start))
    drawn = max(min(width, _WIDTH) * 0.85, 0.6)
    outline = "".join(
        f"M{_LEFT + index * width:.1f} {_BASE}v-{_HEIGHT * count / top:.1f}h{drawn:.1f}V{_BASE}z"
        for index, count in sorted(bars.items())
        if count
    )
    return f'<path d="{outline}" fill="{colour}"/>'


def _times(span: Window) -> list[str]:
    marks = [(0.0, "start"), (0.5, "middle"), (1.0, "end")]
    return [
        f'<text x="{_LEFT + _WIDTH * part:.0f}" y="{_BASE + 18}" text-anchor="{anchor}">'
        f"{span.start + part * (span.end - span.start):%H:%M} UTC</text>"
        for part, anchor in marks
    ]
