"""docs/benchmarks.md and its picture, generated from the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

from benchmarks.bulk import SCENARIOS
from benchmarks.commands import BASELINE, STEPS
from benchmarks.comparison import line, lines, reference, sizes_of
from benchmarks.contenders import CONTENDERS, MERGERS, READERS, Contender
from benchmarks.goals import (
    Goal,
    bulk_goals,
    command_goals,
    demo_goals,
    gateway_goals,
    memory_goals,
    merge_goals,
    session_goals,
)
from benchmarks.inputs import size_name
from benchmarks.jobs import PROJECT
from benchmarks.results import PARTS, load

Records = Sequence[dict[str, Any]]
PAGE = PROJECT / "docs" / "benchmarks.md"
_TEMPLATE = Path(__file__).with_name("page.md")
_MISSING = "Not measured yet."


def write_page() -> list[Path]:
    """Write the page and its picture, and return their paths."""
    from benchmarks.picture import draw

    PAGE.write_text(render(), encoding="utf-8")
    return [PAGE, draw(_records("bulk"), _records("memory"), _records("merges"))]


def render() -> str:
    """Return the page; sections that were never measured say so."""
    bulk, memory, demo, gateway = (_records(part) for part in ("bulk", "memory", "demo", "gateway"))
    goals = [
        *command_goals(_records("commands")),
        *bulk_goals(bulk),
        *memory_goals(memory),
        *demo_goals(demo),
        *gateway_goals(gateway),
        *merge_goals(_records("merges")),
        *session_goals(_records("sessions")),
    ]
    found = [document for part in PARTS if (document := load(part))]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        goals=_goals(goals),
        machine=_machines(found),
        versions=_versions(found),
        commands=_commands(_records("commands")),
        file_engines=_bulk(bulk, [each for each in CONTENDERS if each.engine != "postgres"]),
        postgres=_bulk(bulk, [each for each in CONTENDERS if each.engine == "postgres"]),
        file_tables=_bulk(bulk, [each for each in MERGERS if each.engine == "duckdb"]),
        postgres_tables=_bulk(bulk, [each for each in MERGERS if each.engine == "postgres"]),
        reading=_reading(bulk),
        memory=_memory(memory),
        live=_live(demo, _records("idle")),
        gateway=_gateway(gateway),
        merges=_growing(_records("merges"), "rows", "seconds", " rows"),
        sessions=_growing(_records("sessions"), "messages", "cpu_seconds", " messages"),
        file=_file(_records("file")),
        history=_history(_records("history")),
        catalogue=_catalogue(_records("catalogue")),
    )


def _records(part: str) -> Records:
    document = load(part)
    return document["records"] if document else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    marks = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


def _goals(goals: Sequence[Goal]) -> str:
    rows = [(goal.text, goal.found, "yes" if goal.met else "**no**") for goal in goals]
    return table(("goal", "measured", "met"), rows) if rows else _MISSING


def _machines(documents: Sequence[dict[str, Any]]) -> str:
    return "\n".join(
        f"- {each['part']}: {each['began'][:16].replace('T', ' ')} to {each['ended'][11:16]} UTC, "
        f"{each['machine']['cores']} cores, {each['machine']['memory_gb']} GB, {each['machine']['system']}, "
        f"load {_load(each['records'])}" + (f"; {each['note']}" if "note" in each else "")
        for each in documents
    )


def _load(records: Records) -> str:
    loads = [record["load"] for record in records if "load" in record]
    return f"{min(loads):.1f} to {max(loads):.1f}, median {median(loads):.1f}" if loads else "unknown"


def _versions(documents: Sequence[dict[str, Any]]) -> str:
    merged = {name: version for document in documents for name, version in document["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in merged.items())


def _commands(records: Records) -> str:
    rows = []
    for engine, step in dict.fromkeys((each["engine"], each["step"]) for each in records):
        found = [each for each in records if (each["engine"], each["step"]) == (engine, step)]
        now, before = (
            {each["round"]: each for each in found if (each["build"] == "now") is is_now}
            for is_now in (True, False)
        )
        both = [number for number in now if number in before]
        if both:
            cpu = [median(side[number]["cpu_seconds"] for number in both) for side in (before, now)]
            peak = [max(side[number]["peak_mb"] for number in both) for side in (before, now)]
            ratio = median(before[each]["cpu_seconds"] / now[each]["cpu_seconds"] for each in both)
            name = f"{STEPS[step]}, {'PostgreSQL' if engine == 'postgres' else 'DuckDB'}"
            rows.append(
                (name, f"{cpu[0]:.1f}", f"{cpu[1]:.1f}", f"{ratio:.1f}×", f"{peak[0]:.0f} → {peak[1]:.0f}")
            )
    if not rows:
        return _MISSING
    rounds = _times(len({each["round"] for each in records}))
    count = size_name(records[0]["messages"])
    head = (f"{count} messages of one session, {rounds}", f"{BASELINE}: CPU s", "now: CPU s", "×", "peak MB")
    return table(head, rows)


def _bulk(records: Records, contenders: Sequence[Contender]) -> str:
    parts = []
    for size in sizes_of(records):
        rows = []
        for contender in contenders:
            found = lines(records, contender.name, size, reference(contender))
            if "cold" not in found:
                continue
            title = contender.title
            if (given := found["cold"].given) != size:
                title += f" ({given:,} of them)"
            rates = [_rate(found[name].rate.median) if name in found else "" for name in SCENARIOS]
            ratios = [
                *(f"{found[name].ratio.median:.1f}×" if name in found else "" for name in SCENARIOS),
                *(f"{found[name].cpu_ratio.median:.1f}×" if name in found else "" for name in SCENARIOS[:2]),
            ]
            cold = found["cold"].rate
            rows.append(
                (
                    title,
                    *rates,
                    *(["1"] * len(ratios) if contender.name == reference(contender) else ratios),
                    f"{cold.low:,.0f}–{cold.high:,.0f}" if cold.count > 1 else "",
                    f"{max(each.peak_mb for each in found.values()):.0f}",
                )
            )
        if not rows:
            continue
        rounds = 1 + max(record["round"] for record in records if record["size"] == size)
        head = (
            "",
            "cold/s",
            "same/s",
            "2 %/s",
            "× cold",
            "× same",
            "× 2 %",
            "CPU × cold",
            "CPU × same",
            "min–max cold",
            "peak MB",
        )
        parts.append(f"**{size:,} messages**, {_times(rounds)}\n\n{table(head, rows)}")
    return "\n\n".join(parts) or _MISSING


def _reading(records: Records) -> str:
    rows = []
    for size in sorted({record["size"] for record in records if record.get("scenario") == "read"}):
        for contender in READERS:
            found = line(records, contender.name, size, "read", "ours-reader")
            if found:
                rows.append(
                    (
                        f"{size_name(size)}: {contender.title}",
                        _rate(found.rate.median),
                        f"{1 / found.ratio.median:.2f}×",
                        f"{found.cpu_microseconds:.1f}",
                        f"{found.peak_mb:.0f}",
                    )
                )
    head = ("", "messages/s", "ours takes", "CPU µs a message", "peak MB")
    # A ratio above 1: this project takes longer.
    return table(head, rows) if rows else _MISSING


def _memory(records: Records) -> str:
    rows = [
        (
            record["contender"].removeprefix("piped-"),
            size_name(record["size"]),
            f"{record['seconds']:.0f}",
            f"{record['idle_mb']:.0f}",
            f"{record['peak_mb']:.0f}",
        )
        for record in records
    ]
    head = ("engine", "messages", "seconds", "MB before the work", "peak MB")
    return table(head, rows) if rows else _MISSING


def _live(demo: Records, idle: Records) -> str:
    rows = []
    for record in demo:
        rows += [
            ("watched", f"{record['seconds']:.0f} s, {record['messages']} messages"),
            ("ticks with a run", f"{record['ticks_with_a_run']}"),
            ("from one tick to the next, median (worst)", _pair(record, "tick_gap", "s")),
            (
                "posted → queryable, median / p95",
                f"{record['delay_median_seconds']:.1f} / {record['delay_p95_seconds']:.1f} s",
            ),
            (
                "of it beyond the wait for the tick, median / p95",
                f"{record['overhead_median_seconds']:.1f} / {record['overhead_p95_seconds']:.1f} s",
            ),
            ("CPU for each tick with a run, whole stack", f"{record['cpu_seconds_per_tick']:.1f} s"),
            ("memory, whole stack", f"{record['memory_mb']:.0f} MB"),
        ]
    for record in idle:
        rows += [
            ("idle: CPU a minute, whole stack", f"{record['cpu_seconds_per_minute']:.1f} s"),
            ("idle: memory, whole stack", f"{record['memory_mb']:.0f} MB"),
        ]
    return table(("", "measured"), rows) if rows else _MISSING


def _pair(record: dict[str, Any], name: str, unit: str) -> str:
    return f"{record[f'{name}_seconds']:.1f} ({record[f'{name}_worst_seconds']:.1f}) {unit}"


def _gateway(records: Records) -> str:
    ceilings = [record["per_second"] for record in records if record["what"] == "ceiling"]
    if not ceilings:
        return _MISSING
    rows = [("discord.py, empty handler (the ceiling)", f"{median(ceilings):.0f}", "100 %", "", "")]
    for engine, title in (("duckdb", "DuckDB"), ("postgres", "PostgreSQL")):
        bursts = [each for each in records if each["what"] == "burst" and each["engine"] == engine]
        lags = [each for each in records if each["what"] == "lag" and each["engine"] == engine]
        rows.append(
            (
                f"the bot, events stored, {title}",
                f"{median(each['per_second'] for each in bursts):.0f}",
                f"{median(each['share'] for each in bursts):.0%}",
                "/".join(f"{each['p50_ms']:.0f}" for each in lags),
                "/".join(f"{each['p99_ms']:.0f}" for each in lags),
            )
        )
    return table(("", "events/s", "of the ceiling", "p50 ms", "p99 ms"), rows)


def _growing(records: Records, size: str, seconds: str, unit: str = "") -> str:
    sizes = sorted({record[size] for record in records})
    rows = []
    for engine in ("duckdb", "postgres"):
        times = {each[size]: each[seconds] for each in records if each["engine"] == engine}
        if times:
            cells = [
                f"{median(times[each]) * 1000:.0f} ({min(times[each]) * 1000:.0f})" if each in times else ""
                for each in sizes
            ]
            rows.append((engine, *cells))
    return table(("engine", *(f"{size_name(each)}{unit}" for each in sizes)), rows) if rows else _MISSING


def _file(records: Records) -> str:
    if not records:
        return _MISSING
    *small, once = records
    shown = [each for number, each in enumerate(small, 1) if number in {1, len(small) // 2, len(small)}]
    rows = [
        (f"{each['merges']:,} merges of 30", f"{each['rows']:,}", f"{each['bytes'] / 1e6:.1f}")
        for each in shown
    ]
    rows.append(("the same rows in one merge", f"{once['rows']:,}", f"{once['bytes'] / 1e6:.1f}"))
    return table(("", "rows", "file MB"), rows)


def _history(records: Records) -> str:
    rows = []
    for record in records:
        rows += [
            ("a tick with its run", f"{record['bytes_per_tick'] / 1e3:.0f} kB"),
            ("a live hour (120 ticks)", f"{record['hour_bytes'] / 1e6:.1f} MB"),
            (
                f"left of {record['runs']} runs after retention ({record['runs_kept']} runs)",
                f"{record['pruned_bytes'] / 1e6:.1f} MB",
            ),
            ("the same, once SQLite has given free pages back", f"{record['vacuumed_bytes'] / 1e6:.1f} MB"),
        ]
    return table(("", "Dagster's folder"), rows) if rows else _MISSING


def _catalogue(records: Records) -> str:
    rows = [
        (
            f"{record['keys']:,}",
            f"{record['materialised']:,}",
            f"{record['page_first_seconds']:.2f}",
            f"{record['page_seconds']:.2f}",
            f"{record['tick_seconds']:.2f}" if record["tick_seconds"] is not None else "",
            f"{record['tick_gap_seconds']:.1f}" if record["tick_gap_seconds"] is not None else "",
            f"{record['cpu_seconds_per_minute']:.1f}",
            f"{record['memory_mb']:.0f}",
        )
        for record in records
    ]
    head = (
        "partition keys",
        "materialised",
        "page, first s",
        "page, again s",
        "tick s",
        "tick to tick s",
        "CPU s/min",
        "stack MB",
    )
    return table(head, rows) if rows else _MISSING


def _rate(value: float) -> str:
    return f"{value:,.0f}"


def _times(rounds: int) -> str:
    return "one round" if rounds == 1 else f"medians of {rounds} rounds"
