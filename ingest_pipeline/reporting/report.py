"""The report of a session: made, and laid out as a page.

Every picture has its figures beside it as a table, so no picture carries information alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from upath import UPath

from ingest_pipeline.content.registry import load_kinds
from ingest_pipeline.domain.plurals import counted
from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.stored_files import new_version
from ingest_pipeline.reporting.charts import (
    bar_width,
    data_uri,
    drivers_chart,
    latency_chart,
    messages_chart,
    spans_days,
    width_name,
)
from ingest_pipeline.reporting.facts import FoundContent, SessionFacts, read_facts
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import load_settings_file

_SHOWN_GAPS = 20
_SHOWN_UNCOUNTED = 20
# What came later than this was not brought by a live poll, however slow.
_LIVE_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table; with a summary it is folded away under it."""

    caption: str
    columns: Sequence[tuple[str, str]]  # name and class
    rows: Sequence[Sequence[Any]]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class _Section:
    """A section; its sentence stands below its picture, or after its tables where it has none."""

    heading: str
    sentence: str
    tables: Sequence[_Table] = ()
    picture: str = ""  # address that holds an SVG
    alternative: str = ""


def report_page(facts: SessionFacts, pictures: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        facts: Its facts.
        pictures: SVG documents by name: `messages`, and `drivers` and `latency` if there is anything to draw.
    """
    from ingest_pipeline.reporting.templates import load_template

    encoded = {name: data_uri(picture) for name, picture in pictures.items()}
    sections = [
        _minutes_section(facts, encoded["messages"]),
        _highlights_section(facts),
        _drivers_section(facts, encoded.get("drivers")),
        _latency_section(facts, encoded.get("latency")),
    ]
    if facts.setups or facts.unparsed_lines:
        sections.insert(3, _setups_section(facts))
    sections[-1:-1] = [_content_section(each, facts) for each in facts.contents]
    return load_template("page.html").render(
        facts=facts,
        heading=facts.session.event_name or facts.session.session_id,
        when=_when(facts),
        state=_state(facts),
        numbers=_numbers(facts),
        sections=sections,
    )


def _when(facts: SessionFacts) -> str:
    session = facts.session
    named = [session.session_type, session.location, session.country]
    known = [session.session_id] if session.event_name else []
    known += [each for each in named if each]
    known.append(f"{_day_and_time(session.start_time)} to {_day_and_time(session.end_time)} UTC")
    if session.scheduled_end:
        known.append(f"scheduled to end at {session.scheduled_end:%H:%M}")
    return " · ".join(known)


def _state(facts: SessionFacts) -> str:
    if facts.is_proven:
        return "Complete: the coverage ledger proves every minute."
    missing = sum(((gap.end - gap.start) for gap in facts.gaps), timedelta())
    live = "So far" if facts.span.end < facts.session.end_time else "Not proven complete"
    return f"{live}: {_duration(missing)} without proof, shaded below."


def _numbers(facts: SessionFacts) -> list[tuple[str, str]]:
    busiest = max((count for _, count in facts.minutes), default=0)
    numbers = [
        ("messages", f"{facts.messages:,}"),
        ("busiest minute", f"{busiest:,}"),
        ("drivers heard", f"{len(facts.talks):,}"),
        ("highlights", f"{facts.candidates:,}"),
        ("clips", f"{facts.clips:,}"),
    ]
    if facts.setups or facts.unparsed_lines:
        numbers.append(("trade setups", f"{sum(count for _, count in facts.setups):,}"))
    if facts.median_latency_seconds is not None:
        numbers.append(("median delay", f"{facts.median_latency_seconds:.1f} s"))
    return numbers


def _minutes_section(facts: SessionFacts, picture: str) -> _Section:
    busiest = max(facts.minutes, key=lambda item: item[1], default=None)
    sentence = counted(facts.messages, "message")
    if busiest:
        form = "%Y-%m-%d %H:%M" if spans_days(facts.span) else "%H:%M"
        sentence += f", the busiest minute {busiest[0]:{form}} UTC with {busiest[1]}"
    unproven = f"{counted(len(facts.gaps), 'time range')} not " if facts.gaps else ""
    sentence += f", {unproven}proven complete."
    if facts.cut:
        sentence += f" Of {counted(facts.cut, 'message')} the first 64 KiB of words are kept."
    rows = [(f"{minute:%Y-%m-%d %H:%M}", f"{count:,}") for minute, count in facts.minutes]
    columns = [("minute", ""), ("messages", "number")]
    tables = [_Table("Messages by minute, UTC", columns, rows, "Figures as a table")]
    if facts.gaps:
        gaps = [
            (_moment(gap.start), _moment(gap.end), _duration(gap.end - gap.start))
            for gap in facts.gaps[:_SHOWN_GAPS]
        ]
        columns = [("from", ""), ("to", ""), ("length", "")]
        tables.append(_Table("UTC", columns, gaps, "Time ranges without proof"))
    heading = f"Messages per {width_name(bar_width(facts.span))}"
    return _Section(heading, sentence, tables, picture, "Bar chart")


def _highlights_section(facts: SessionFacts) -> _Section:
    if not facts.highlights:
        return _Section("Highlights", "No message stands out by the rule of data/settings.yaml.")
    form = "%Y-%m-%d %H:%M:%S" if spans_days(facts.span) else "%H:%M:%S"
    rows = [
        (
            {"url": each.url, "text": f"{each.posted_at:{form}}"},
            each.who,
            each.text,
            f"{each.score:.2f}",
            each.reasons,
        )
        for each in facts.highlights
    ]
    columns = [("UTC", "time"), ("who", ""), ("message", ""), ("score", "number"), ("why", "")]
    more = facts.candidates - len(facts.highlights)
    return _Section(
        "Highlights",
        f"And {counted(more, 'more candidate')}." if more else "",
        [_Table("The candidates with the highest scores, and why", columns, rows)],
    )


def _drivers_section(facts: SessionFacts, picture: str | None) -> _Section:
    uncounted = ", ".join(facts.uncounted[:_SHOWN_UNCOUNTED])
    if len(facts.uncounted) > _SHOWN_UNCOUNTED:
        uncounted += f" and {len(facts.uncounted) - _SHOWN_UNCOUNTED:,} more"
    left_out = f" Not counted, since data/drivers.yaml does not have them: {uncounted}." if uncounted else ""
    if picture is None:
        return _Section("Team radio by driver", f"No message names a driver.{left_out}")
    unknown = [talk.driver for talk in facts.talks if not talk.is_known]
    sentence = f"{counted(len(facts.talks), 'driver')}, {facts.talks[0].driver} most often."
    if unknown:
        sentence += f" Grey: not in data/drivers.yaml: {', '.join(unknown)}."
    sentence += left_out
    rows = [
        (talk.driver, talk.team or ("" if talk.is_known else "unknown"), f"{talk.messages:,}")
        for talk in facts.talks
    ]
    columns = [("driver", ""), ("team", ""), ("messages", "number")]
    tables = [_Table("Messages by driver", columns, rows, "Figures as a table")]
    alternative = "Bar chart: messages of each driver"
    return _Section("Team radio by driver", sentence, tables, picture, alternative)


def _setups_section(facts: SessionFacts) -> _Section:
    rows = [(ticker, f"{count:,}") for ticker, count in facts.setups]
    lines = counted(facts.unparsed_lines, "line")
    left = f"{lines} could not be parsed; the table unparsed_lines has the reasons."
    table = _Table("Planned trades by ticker", [("ticker", ""), ("setups", "number")], rows)
    return _Section("Trade setups", left if facts.unparsed_lines else "", [table])


def _content_section(found: FoundContent, facts: SessionFacts) -> _Section:
    if not found.rows:
        return _Section(found.title, "No message has any.")
    form = "%Y-%m-%d %H:%M:%S" if spans_days(facts.span) else "%H:%M:%S"
    rows = [
        (f"{at:{form}}", *("" if value is None else f"{value}" for value in values))
        for at, *values in found.rows
    ]
    columns = [("UTC", "time"), *((name.replace("_", " "), "") for name in found.columns[1:])]
    return _Section(
        found.title, f"{counted(found.messages, 'message')}.", [_Table("The newest", columns, rows)]
    )


def _latency_section(facts: SessionFacts, picture: str | None) -> _Section:
    heading = "From posted to stored"
    if picture is None or facts.median_latency_seconds is None:
        later = f" {facts.later:,} came with a later import." if facts.later else ""
        return _Section(heading, f"No message was stored while it was fresh.{later}")
    if facts.slow_latency_seconds is None:
        sentence = f"The only message after {facts.median_latency_seconds:.1f} s."
    else:
        sentence = (
            f"Half of {len(facts.latencies_seconds):,} messages within {facts.median_latency_seconds:.1f} s, "
            f"95 of 100 within {facts.slow_latency_seconds:.1f} s, "
            f"the slowest after {max(facts.latencies_seconds):.1f} s."
        )
    if facts.later:
        verb = "is" if facts.later == 1 else "are"
        sentence += f" {counted(facts.later, 'message')} of a later import {verb} left out."
    return _Section(heading, sentence, picture=picture, alternative="Cumulative chart of delays")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _day_and_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _duration(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A report that was written.

    Attributes:
        page: The HTML file.
        pictures: SVG documents by name, as they stand beside it: `messages`, `drivers`, `latency`.
        facts: Its facts.
    """

    page: Path
    pictures: dict[str, str]
    facts: SessionFacts


def build_session_report(
    services: Services, session: Session, now: datetime
) -> tuple[str, dict[str, str], SessionFacts]:
    """Return a session's report: its page, its pictures by name (see `SessionReport`), and its facts.

    Raises:
        ConfigurationError: The settings of channels are wrong.
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    file = load_settings_file(services.settings.settings_file, groups=False)
    kinds = load_kinds(services.settings)
    with services.database.read() as connection:
        settings = effective_settings(connection, file, session.channel_ids)
        facts = read_facts(connection, session, now, live_within=_LIVE_WITHIN, settings=settings, kinds=kinds)
    messages = messages_chart(facts.minutes, facts.span, session.session_id, unproven=facts.gaps)
    pictures = {"messages": messages}
    if facts.talks:
        pictures["drivers"] = drivers_chart(facts.talks)
    if facts.latencies_seconds:
        pictures["latency"] = latency_chart(facts)
    return report_page(facts, pictures), pictures, facts


def write_session_report(services: Services, session: Session, now: datetime | None = None) -> SessionReport:
    """Write a session's report to `reports/<session id>/` in the data folder, in place of an older one.

    Raises:
        ConfigurationError: The settings of channels are wrong.
        StorageRejected: The folder cannot be written.
        DatabaseBusy: Another process held the database for too long.
        DatabaseUnavailable: The database cannot be reached.
    """
    page, pictures, facts = build_session_report(services, session, now or datetime.now(UTC))
    folder = services.settings.data_dir / "reports" / session.session_id
    contents = {f"{name}.svg": picture for name, picture in pictures.items()}
    contents["index.html"] = page
    for name, content in contents.items():
        with new_version(UPath(folder / name)) as draft:
            draft.write_text(content, encoding="utf-8")
    # Charts that there is nothing for any more, and the PNG files of version 0.1.
    for old in {*folder.glob("*.svg"), *folder.glob("*.png")}.difference(folder / name for name in contents):
        old.unlink(missing_ok=True)
    return SessionReport(folder / "index.html", pictures, facts)
