"""The picture of the page: messages a second of each contender, and growth."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import lines, reference, sizes_of
from benchmarks.contenders import CONTENDERS
from benchmarks.inputs import size_name
from benchmarks.jobs import PROJECT

PICTURE = PROJECT / "docs" / "images" / "benchmarks.png"
_OURS, _RIVAL, _FLOOR = "#c2410c", "#64748b", "#cbd5e1"
_SHOWN = 100_000


def draw(
    bulk: Sequence[dict[str, Any]], memory: Sequence[dict[str, Any]], merges: Sequence[dict[str, Any]]
) -> Path:
    """Draw rates by engine, peak memory, and small merges by the table's size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained")
    sizes = sizes_of(bulk)
    size = _SHOWN if _SHOWN in sizes else max(sizes, default=0)
    _rates(axes[0][0], bulk, size, ("duckdb", "sqlite"), "one file: DuckDB, SQLite")
    _rates(axes[0][1], bulk, size, ("postgres",), "PostgreSQL")
    _memory(axes[1][0], bulk, memory)
    _merges(axes[1][1], merges)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return PICTURE


def _rates(
    axes: Any, records: Sequence[dict[str, Any]], size: int, engines: Sequence[str], title: str
) -> None:
    shown = [each for each in CONTENDERS if each.engine in engines]
    found = [(each, taken) for each in shown if (taken := lines(records, each.name, size, reference(each)))]
    found.reverse()
    for place, (contender, taken) in enumerate(found):
        colour = _FLOOR if contender.is_floor else _OURS if contender.name.startswith("ours") else _RIVAL
        for offset, scenario, alpha in ((0.2, "cold", 1.0), (-0.2, "same", 0.55)):
            if scenario in taken:
                rate = taken[scenario].rate.median
                axes.barh(place + offset, rate, 0.38, color=colour, alpha=alpha)
                axes.text(rate * 1.08, place + offset, f"{rate:,.0f}", va="center", fontsize=7)
    axes.set_yticks(range(len(found)), [each.title.replace("**", "") for each, _ in found])
    axes.set_xscale("log")
    rates = [each.rate.median for _, taken in found for each in taken.values()]
    if rates:
        axes.set_xlim(10 ** floor(log10(min(rates))), 4 * max(rates))
    _plain(axes.xaxis)
    axes.set_xlabel("messages a second; above cold, below the same again")
    axes.set_title(f"{size_name(size)} messages: {title}", loc="left")


def _memory(axes: Any, records: Sequence[dict[str, Any]], memory: Sequence[dict[str, Any]]) -> None:
    sizes = sizes_of(records)
    for contender in CONTENDERS:
        points = {
            size: max(each.peak_mb for each in taken.values())
            for size in sizes
            if contender.most is None
            and (taken := lines(records, contender.name, size, reference(contender)))
        }
        points |= {
            record["size"]: record["peak_mb"]
            for record in memory
            if contender.name == record["contender"].replace("piped", "ours") and record["size"] not in points
        }
        if not points or contender.is_floor:
            continue
        is_ours = contender.name.startswith("ours")
        engine = {"duckdb": "DuckDB", "sqlite": "SQLite", "postgres": "PostgreSQL"}[contender.engine or ""]
        title = contender.title.replace("**", "").split(" (")[0]
        axes.plot(
            list(points),
            list(points.values()),
            "o-" if contender.engine != "postgres" else "s--",
            color=_OURS if is_ours else None,
            label=f"{title}, {engine}",
            linewidth=2.2 if is_ours else 1.0,
            markersize=4,
        )
    axes.axhline(300, color="#94a3b8", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain(axes.xaxis)
    _plain(axes.yaxis)
    axes.set_yticks([100, 200, 300, 500, 1000, 2000, 5000])
    axes.set_xlabel("messages in the file")
    axes.set_ylabel("peak resident memory, MB")
    axes.set_title("Memory of the contender's process (dotted: 300 MB)", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=6.5, frameon=False, loc="upper left")


def _merges(axes: Any, records: Sequence[dict[str, Any]]) -> None:
    for engine, title, mark in (("duckdb", "DuckDB", "o-"), ("postgres", "PostgreSQL", "s--")):
        points = {
            record["rows"]: median(record["seconds"]) * 1000
            for record in records
            if record["engine"] == engine
        }
        if points:
            axes.plot(list(points), list(points.values()), mark, color=_OURS, label=title)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    _plain(axes.xaxis)
    axes.set_xlabel("rows in the table")
    axes.set_ylabel("milliseconds, median")
    axes.set_title("Merging 30 messages, commit included", loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _plain(axis: Any) -> None:
    """Label an axis of a logarithmic scale with numbers and not with powers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
