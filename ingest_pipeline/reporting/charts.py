"""The charts of a report, as PNG: readable in print and for the colour-blind.

matplotlib is imported when the first picture is drawn: it takes most of a second, which no run that
draws nothing shall pay. Its object interface is used throughout, as pyplot keeps global state.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ingest_pipeline.domain.window import Window
from ingest_pipeline.reporting.facts import SessionFacts, Talk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours can be distinguished with any colour vision (https://jfly.uni-koeln.de/color/).
_BLUE, _ORANGE, _GREY, _INK = "#0072b2", "#d55e00", "#aeb4bf", "#222831"
_SHADE, _HATCH = "#fdeee5", "#f2b693"
_NOTE = {"facecolor": "white", "edgecolor": "none", "pad": 4}
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_TICKS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)]
_WIDTHS = [*_TICKS, 7 * _DAY, 28 * _DAY, 364 * _DAY]
_MAX_BARS = 360
_MAX_DRIVERS = 24
_LONGEST_NAME = 24
_DPI = 110


def messages_chart(facts: SessionFacts) -> bytes:
    """Draw messages per minute over the session, with the ranges that nothing proves shaded."""
    span, step = facts.span, bar_width(facts.span)
    bars = _bars(facts.minutes, span, step)
    highest = max((count for _, count in bars), default=0)

    def draw(axes: Axes) -> None:
        places = [(start - span.start) / _MINUTE for start, _ in bars]
        axes.bar(places, [count for _, count in bars], 0.9 * step / _MINUTE, align="edge", color=_BLUE)
        for number, gap in enumerate(facts.gaps):
            start, end = ((moment - span.start) / _MINUTE for moment in (gap.start, gap.end))
            label = "not proven complete" if number == 0 else None
            axes.axvspan(
                start, end, facecolor=_SHADE, hatch="///", edgecolor=_HATCH, lw=0, label=label, zorder=0.5
            )
        axes.set_xlim(0, (span.end - span.start) / _MINUTE)
        axes.set_ylim(0, max(highest * 1.05, 1))
        axes.locator_params(axis="y", integer=True, min_n_ticks=1)
        ticks, form = _time_ticks(span)
        axes.set_xticks(
            [(tick - span.start) / _MINUTE for tick in ticks], [f"{tick:{form}}" for tick in ticks]
        )
        axes.set_ylabel(f"messages per {width_name(step)}")
        axes.set_xlabel("time (UTC)" if spans_days(span) else f"time (UTC) on {span.start:%d %B %Y}")
        if not bars:
            axes.text(0.5, 0.5, "no messages", transform=axes.transAxes, ha="center", color=_INK, bbox=_NOTE)
        if facts.gaps:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderpad=0)

    return _png(draw, width=9.6, height=3.0)


def bar_width(span: Window) -> timedelta:
    """Return how long a bar of the picture is: a round length of which few enough fill the span."""
    length = span.end - span.start
    return next((width for width in _WIDTHS if length <= _MAX_BARS * width), _WIDTHS[-1])


def width_name(width: timedelta) -> str:
    """Return a bar's length in words that follow "per": `minute`, `5 minutes`, `day`."""
    units = ((_DAY, "day"), (60 * _MINUTE, "hour"), (_MINUTE, "minute"))
    unit, name = next(each for each in units if width >= each[0])
    return name if width == unit else f"{width // unit} {name}s"


def spans_days(span: Window) -> bool:
    """Return whether a time of day alone would not say when something was."""
    return (span.end - _MINUTE).date() != span.start.date()


def drivers_chart(talks: Sequence[Talk]) -> bytes:
    """Draw messages per driver, the most frequent on top; unknown drivers in grey."""
    shown = talks[:_MAX_DRIVERS][::-1]

    def draw(axes: Axes) -> None:
        names = [_plain(talk.driver) for talk in shown]
        colours = [_BLUE if talk.team else _GREY for talk in shown]
        drawn = axes.barh(range(len(shown)), [talk.messages for talk in shown], color=colours)
        axes.set_yticks(range(len(shown)), names)
        axes.bar_label(drawn, padding=3, color=_INK)
        axes.set_xlabel("messages")
        axes.margins(x=0.08, y=0.01)
        axes.grid(visible=False, axis="y")

    return _png(draw, width=9.6, height=0.9 + 0.27 * max(len(shown), 2))


def latency_chart(facts: SessionFacts) -> bytes:
    """Draw how long messages took from being posted to being in the table."""
    seconds = sorted(facts.latencies_seconds)

    def draw(axes: Axes) -> None:
        shares = [100 * (place + 1) / len(seconds) for place in range(len(seconds))]
        axes.plot(seconds, shares, drawstyle="steps-post", color=_BLUE, lw=2)
        axes.set_xlim(0, max(seconds[-1] * 1.05, 1))
        axes.set_ylim(0, 100)
        axes.set_xlabel("seconds from posted to stored")
        axes.set_ylabel("% of messages")
        for value, label in ((facts.median_latency_seconds, "median"), (facts.slow_latency_seconds, "95 %")):
            if value is not None:
                axes.axvline(value, color=_ORANGE, ls="--", lw=1.2)
                axes.annotate(f" {label} {value:.1f} s", (value, 6), color=_INK)

    return _png(draw, width=9.6, height=2.6)


def _time_ticks(span: Window) -> tuple[list[datetime], str]:
    """Return round times of a span, at most ten, and how to write them."""
    length = span.end - span.start
    whole_days = -(-length // (9 * _DAY)) * _DAY
    step = next((each for each in _TICKS if length <= 9 * each), whole_days)
    midnight = span.start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - (midnight - span.start) // step * step
    ticks = [first + index * step for index in range(int((span.end - first) / step) + 1)]
    if step >= _DAY:
        return ticks, "%d %b\n%Y"
    return ticks, "%H:%M\n%d %b" if spans_days(span) else "%H:%M"


def _bars(
    minutes: Sequence[tuple[datetime, int]], span: Window, step: timedelta
) -> list[tuple[datetime, int]]:
    counts: dict[int, int] = {}
    for minute, count in minutes:
        # The first minute of a session that starts inside a minute begins before it.
        index = max((minute - span.start) // step, 0)
        counts[index] = counts.get(index, 0) + count
    return [(span.start + index * step, count) for index, count in sorted(counts.items())]


def _png(draw: Callable[[Axes], None], *, width: float, height: float) -> bytes:
    """Draw on axes of a figure so many inches wide and high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e6e9ee", lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9)
    draw(axes)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box: no reason to fail.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        # Without this the file would say which version drew it.
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _plain(name: str) -> str:
    """Return a name as plain text: a dollar sign would begin a formula."""
    line = " ".join(name.split()).replace("$", r"\$")
    return f"{line[:_LONGEST_NAME]}…" if len(line) > _LONGEST_NAME else line
