"""The page of a report: one HTML file that needs nothing but itself.

Every picture has its figures beside it as a table, so nothing is told by a picture alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from string import Template

from ingest_pipeline.reporting.charts import bar_width, spans_days, width_name
from ingest_pipeline.reporting.facts import SessionFacts

_SHOWN_GAPS = 20


def report_page(facts: SessionFacts, pictures: Mapping[str, bytes]) -> str:
    """Return the page.

    Args:
        facts: What it tells.
        pictures: PNG bytes by name: `messages`, and `drivers` and `latency` where there is anything to draw.
    """
    session = facts.session
    template = files("ingest_pipeline.reporting").joinpath("page.html").read_text(encoding="utf-8")
    sections = [
        _minutes_section(facts, pictures["messages"]),
        _highlights_section(facts),
        _drivers_section(facts, pictures.get("drivers")),
        _setups_section(facts),
        _latency_section(facts, pictures.get("latency")),
    ]
    heading = session.event_name or session.session_id
    return Template(template).substitute(
        title=escape(f"{heading}: session report"),
        heading=escape(heading),
        when=escape(_when(facts)),
        state=_state(facts),
        numbers="\n".join(_number(name, value) for name, value in _numbers(facts)),
        sections="\n".join(section for section in sections if section),
        made=f"Made by ingest_pipeline on {facts.now:%Y-%m-%d at %H:%M:%S} UTC.",
    )


def _when(facts: SessionFacts) -> str:
    session = facts.session
    named = [session.session_type, session.location, session.country]
    known = [session.session_id] if session.event_name else []
    known += [each for each in named if each]
    known.append(f"{_day_and_time(session.start_time)} to {_day_and_time(session.end_time)} UTC")
    return " · ".join(known)


def _state(facts: SessionFacts) -> str:
    if facts.is_proven:
        return '<p class="state">Complete: the coverage ledger proves every minute.</p>'
    missing = sum(((gap.end - gap.start) for gap in facts.gaps), timedelta())
    live = "So far" if facts.span.end < facts.session.end_time else "Not proven complete"
    return f'<p class="state open">{live}: {_duration(missing)} without proof, shaded below.</p>'


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


def _number(name: str, value: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def _minutes_section(facts: SessionFacts, picture: bytes) -> str:
    busiest = max(facts.minutes, key=lambda item: item[1], default=None)
    told = f"{facts.messages:,} messages"
    if busiest:
        form = "%Y-%m-%d %H:%M" if spans_days(facts.span) else "%H:%M"
        told += f", the busiest minute {busiest[0]:{form}} UTC with {busiest[1]}"
    stretches = "1 stretch" if len(facts.gaps) == 1 else f"{len(facts.gaps)} stretches"
    told += f", {stretches} not proven complete." if facts.gaps else ", proven complete."
    rows = [[f"{minute:%Y-%m-%d %H:%M}", f"{count:,}"] for minute, count in facts.minutes]
    minutes = _details(
        "Figures as a table", _table("Messages by minute, UTC", ("minute", "messages"), rows, {1})
    )
    shown = [
        [_moment(gap.start), _moment(gap.end), _duration(gap.end - gap.start)]
        for gap in facts.gaps[:_SHOWN_GAPS]
    ]
    gaps = (
        _details("Stretches without proof", _table("UTC", ("from", "to", "length"), shown)) if shown else ""
    )
    heading = f"Messages per {width_name(bar_width(facts.span))}"
    return _figure(heading, picture, f"Bar chart: {told}", told, minutes + gaps)


def _highlights_section(facts: SessionFacts) -> str:
    if not facts.highlights:
        return _nothing("Highlights", "No message stands out by the rule of data/settings.yaml.")
    form = "%Y-%m-%d %H:%M:%S" if spans_days(facts.span) else "%H:%M:%S"
    rows = [
        "<tr>"
        f'<td class="time"><a href="{escape(each.url)}">{each.posted_at:{form}}</a></td>'
        f"<td>{escape(each.who)}</td><td>{escape(each.text)}</td>"
        f'<td class="number">{each.score:.2f}</td>'
        f"<td><ul>{''.join(f'<li>{escape(reason)}</li>' for reason in each.reasons)}</ul></td></tr>"
        for each in facts.highlights
    ]
    more = facts.candidates - len(facts.highlights)
    note = f'<p class="note">And {more:,} more candidates.</p>' if more else ""
    return (
        '<section><h2>Highlights</h2><div class="scroll"><table>'
        "<caption>The candidates with the highest scores, and why</caption>"
        '<thead><tr><th scope="col">UTC</th><th scope="col">who</th><th scope="col">message</th>'
        '<th scope="col" class="number">score</th><th scope="col">why</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}</section>"
    )


def _drivers_section(facts: SessionFacts, picture: bytes | None) -> str:
    if picture is None:
        return _nothing("Team radio by driver", "No message names a driver.")
    unknown = [talk.driver for talk in facts.talks if talk.team is None]
    caption = f"{len(facts.talks)} drivers, {facts.talks[0].driver} most often."
    if unknown:
        caption += f" Grey: not in data/drivers.yaml: {', '.join(unknown)}."
    rows = [[talk.driver, talk.team or "unknown", f"{talk.messages:,}"] for talk in facts.talks]
    table = _table("Messages by driver", ("driver", "team", "messages"), rows, {2})
    return _figure(
        "Team radio by driver",
        picture,
        f"Bar chart: messages of each driver. {caption}",
        caption,
        _details("Figures as a table", table),
    )


def _setups_section(facts: SessionFacts) -> str:
    if not (facts.setups or facts.unparsed_lines):
        return ""
    rows = [[ticker, f"{count:,}"] for ticker, count in facts.setups]
    left = f"{facts.unparsed_lines:,} lines could not be read; the table unparsed_lines says why."
    note = f'<p class="note">{left}</p>'
    return (
        f"<section><h2>Trade setups</h2>{_table('Planned trades by ticker', ('ticker', 'setups'), rows, {1})}"
        f"{note if facts.unparsed_lines else ''}</section>"
    )


def _latency_section(facts: SessionFacts, picture: bytes | None) -> str:
    if picture is None or facts.median_latency_seconds is None:
        later = f" {facts.later:,} were brought by a later import." if facts.later else ""
        return _nothing("From posted to stored", f"No message was stored while it was fresh.{later}")
    told = f"Half of {len(facts.latencies_seconds):,} messages within {facts.median_latency_seconds:.1f} s"
    if facts.slow_latency_seconds is not None:
        told += f", 95 of 100 within {facts.slow_latency_seconds:.1f} s"
    told += f", the slowest after {max(facts.latencies_seconds):.1f} s."
    if facts.later:
        told += f" {facts.later:,} that a later import brought are left out."
    return _figure("From posted to stored", picture, f"Cumulative chart of delays: {told}", told, "")


def _figure(heading: str, picture: bytes, alternative: str, caption: str, below: str) -> str:
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    return (
        f'<section><h2>{escape(heading)}</h2><figure><img src="{source}" alt="{escape(alternative)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>{below}</section>"
    )


def _nothing(heading: str, told: str) -> str:
    return f'<section><h2>{escape(heading)}</h2><p class="note">{escape(told)}</p></section>'


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int] | None = None
) -> str:
    kinds = [' class="number"' if index in (numbers or ()) else "" for index in range(len(columns))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


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
