"""The charts of runs and reports, as SVG: readable in print and for the colour-blind.

Drawn by hand, about a millisecond and a few kilobytes each: importing a plotting library alone takes most
of a second, which a run every 30 seconds cannot spare. Dagster shows images of Markdown metadata when they
are data URIs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import count, takewhile
from typing import TYPE_CHECKING

from ingest_pipeline.domain.window import Window

if TYPE_CHECKING:
    from ingest_pipeline.reporting.facts import SessionFacts, Talk

# Okabe and Ito's colours can be distinguished with any colour vision (https://jfly.uni-koeln.de/color/).
_BLUE, _PALE, _ORANGE, _GREY = "#0072b2", "#a6cee3", "#d55e00", "#aeb4bf"
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_TICKS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)]
_BAR_WIDTHS = [*_TICKS, 7 * _DAY, 28 * _DAY, 364 * _DAY]
_MAX_BARS = 360
_MAX_DRIVERS = 24
_LONGEST_NAME = 24
_LEFT, _TOP, _WIDTH, _HEIGHT = 48, 34, 692, 130
_BASE, _RIGHT = _TOP + _HEIGHT, _LEFT + _WIDTH
_GAPS = (
    '<pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0h6v6h-6z" fill="#fdeee5"/><path d="M0 0v6" stroke="#f2b693" stroke-width="2"/></pattern>'
    f'<path d="M{_RIGHT - 132} 11h12v12h-12z" fill="url(#gap)"/>'
)


def messages_chart(
    counts: Sequence[tuple[datetime, int]],
    span: Window,
    title: str,
    *,
    highlighted: Window | None = None,
    unproven: Sequence[Window] = (),
) -> str:
    """Draw messages per minute, or per as many minutes as one of a few hundred bars has to cover.

    Args:
        counts: Minutes (aware UTC) with their number of messages; minutes without any may be left out.
        span: The time shown.
        title: Written above the bars.
        highlighted: The part of it in the strong colour, or None for all of it.
        unproven: Ranges of time that are shaded.
    """
    step = bar_width(span)
    bars = _bars(counts, span, step)
    top = max(bars.values(), default=0)
    strong = {
        start: number
        for start, number in bars.items()
        if not highlighted or _overlaps(start, step, highlighted)
    }
    weak = {start: number for start, number in bars.items() if start not in strong}
    parts = [_text(_LEFT, 20, f"{title}: messages per {width_name(step)} (UTC)", 'font-size="13"')]
    if unproven:
        parts += [_GAPS, _text(_RIGHT, 21, "not proven complete", _END)]
    for gap in unproven:
        start, end = _at(gap.start, span), _at(gap.end, span)
        parts.append(f'<path d="M{start:.1f} {_TOP}H{end:.1f}V{_BASE}H{start:.1f}z" fill="url(#gap)"/>')
    parts += _grid(top, _steps(top, whole=True))
    parts += [_columns(weak, top, span, step, _PALE), _columns(strong, top, span, step, _BLUE)]
    if not bars:
        parts.append(_text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT / 2, "no messages", _MIDDLE))
    return _svg(_BASE + 40, *parts, *_times(span))


def bar_width(span: Window) -> timedelta:
    """Return how long a bar of the chart is: a round length of which few enough fill the span."""
    length = span.end - span.start
    return next((width for width in _BAR_WIDTHS if length <= _MAX_BARS * width), _BAR_WIDTHS[-1])


def width_name(width: timedelta) -> str:
    """Return a bar's length in words that follow "per": `minute`, `5 minutes`, `day`."""
    units = ((_DAY, "day"), (60 * _MINUTE, "hour"), (_MINUTE, "minute"))
    unit, name = next(each for each in units if width >= each[0])
    return name if width == unit else f"{width // unit} {name}s"


def spans_days(span: Window) -> bool:
    """Return whether a time of day alone would not say when something was."""
    return (span.end - _MINUTE).date() != span.start.date()


def drivers_chart(talks: Sequence[Talk]) -> str:
    """Draw messages per driver, the most frequent on top; unknown drivers in grey."""
    shown = talks[:_MAX_DRIVERS]
    most = max(talk.messages for talk in shown)
    left, right = 190, _RIGHT - 48
    parts: list[str] = []
    for row, talk in enumerate(shown):
        y = 10 + 20 * row
        end = left + (right - left) * talk.messages / most
        colour = _BLUE if talk.is_known else _GREY
        parts += [
            _text(left - 6, y + 12, _short(talk.driver), _END),
            f'<path d="M{left} {y}H{end:.1f}v16H{left}z" fill="{colour}"/>',
            _text(end + 6, y + 12, f"{talk.messages:,}"),
        ]
    return _svg(16 + 20 * len(shown), *parts)


def latency_chart(facts: SessionFacts) -> str:
    """Draw how long messages took from being posted to being in the table: per cent of them by seconds."""
    seconds = sorted(facts.latencies_seconds)
    last = max(seconds[-1] * 1.05, 1)
    # One point for each place on the axis: a session of a hundred thousand messages has no more.
    shares = {
        round(_LEFT + _WIDTH * each / last, 1): position / len(seconds)
        for position, each in enumerate(seconds, 1)
    }
    curve = "".join(f"H{x}V{_BASE - _HEIGHT * share:.1f}" for x, share in shares.items())
    parts = [
        _text(_LEFT, 20, "% of messages", 'font-size="13"'),
        *_grid(100, [0, 25, 50, 75, 100]),
        f'<path d="M{_LEFT} {_BASE}{curve}H{_RIGHT}" fill="none" stroke="{_BLUE}" stroke-width="2"/>',
        *(_text(_LEFT + _WIDTH * tick / last, _BASE + 16, f"{tick:g}", _MIDDLE) for tick in _steps(last)),
        _text(_RIGHT, _BASE + 33, "seconds from posted to stored", _END),
    ]
    marks = ((facts.median_latency_seconds, "median", 50), (facts.slow_latency_seconds, "95 %", 12))
    for value, name, above in marks:
        if value is not None:
            x = _LEFT + _WIDTH * value / last
            beside = (x - 4, _END) if value > 0.8 * last else (x + 4, "")
            parts.append(f'<path d="M{x:.1f} {_TOP}V{_BASE}" stroke="{_ORANGE}" stroke-dasharray="5 3"/>')
            parts.append(_text(beside[0], _BASE - above, f"{name} {value:.1f} s", beside[1]))
    return _svg(_BASE + 40, *parts)


def data_uri(svg: str) -> str:
    """Return an address that holds a drawing."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def as_markdown(svg: str, description: str) -> str:
    """Return Markdown that shows a drawing inline."""
    return f"![{description}]({data_uri(svg)})"


_END, _MIDDLE = 'text-anchor="end"', 'text-anchor="middle"'


def _svg(height: int, *parts: str) -> str:
    size = f'width="760" height="{height}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" {size} font-family="sans-serif" '
    )
    return f'{head}font-size="12" fill="#222831"><rect {size} rx="6" fill="#fff"/>{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, attributes: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {attributes}>{escape(words)}</text>'


def _grid(top: float, values: Sequence[float]) -> Iterator[str]:
    """Draw lines at values of the vertical axis, each with its number."""
    for value in values:
        y = _BASE - _HEIGHT * value / max(top, 1)
        yield f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="{"#d7dce3" if value else "#8a93a0"}"/>'
        yield _text(_LEFT - 6, y + 4, f"{value:,.0f}", _END)


def _steps(top: float, *, whole: bool = False) -> list[float]:
    """Return round numbers from 0 to `top`, at most six."""
    sizes = (base * 10.0**power for power in count(0 if whole else -1) for base in (1, 2, 5))
    step = next(size for size in sizes if top <= 5 * size)
    return list(takewhile(lambda value: value <= top, (index * step for index in count())))


def _bars(counts: Sequence[tuple[datetime, int]], span: Window, step: timedelta) -> dict[datetime, int]:
    bars: dict[datetime, int] = {}
    for minute, number in counts:
        # The first minute of a span that starts inside a minute begins before it.
        start = span.start + max((minute - span.start) // step, 0) * step
        if number and minute < span.end:
            bars[start] = bars.get(start, 0) + number
    return bars


def _overlaps(start: datetime, step: timedelta, window: Window) -> bool:
    return start < window.end and window.start < start + step


def _at(moment: datetime, span: Window) -> float:
    """Return where a time is on the horizontal axis."""
    return _LEFT + _WIDTH * ((moment - span.start) / (span.end - span.start))


def _columns(bars: dict[datetime, int], top: int, span: Window, step: timedelta, colour: str) -> str:
    drawn = max(min(_WIDTH * (step / (span.end - span.start)), _WIDTH) * 0.85, 0.6)
    outline = "".join(
        f"M{_at(start, span):.1f} {_BASE}v-{_HEIGHT * number / top:.1f}h{drawn:.1f}V{_BASE}z"
        for start, number in sorted(bars.items())
    )
    return f'<path d="{outline}" fill="{colour}"/>'


def _times(span: Window) -> Iterator[str]:
    """Write round times below the axis, at most ten."""
    length = span.end - span.start
    whole_days = -(-length // (9 * _DAY)) * _DAY
    step = next((each for each in _TICKS if length <= 9 * each), whole_days)
    midnight = span.start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - (midnight - span.start) // step * step
    form, below = ("%d %b", "%Y") if step >= _DAY else ("%H:%M", "%d %b" if spans_days(span) else "")
    for index in range(int((span.end - first) / step) + 1):
        tick = first + index * step
        yield _text(_at(tick, span), _BASE + 16, f"{tick:{form}}", _MIDDLE)
        if below:
            yield _text(_at(tick, span), _BASE + 31, f"{tick:{below}}", _MIDDLE)
    if not below:
        yield _text(_RIGHT, _BASE + 33, f"{span.start:%d %B %Y}", _END)


def _short(name: str) -> str:
    # A control character would make the document one that no reader of XML takes.
    line = "".join(each for each in " ".join(name.split()) if each.isprintable())
    return f"{line[:_LONGEST_NAME]}…" if len(line) > _LONGEST_NAME else line
