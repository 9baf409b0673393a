"""Seasons of racing series, as their public sources write them.

| source | shape |
|---|---|
| OpenF1 `sessions`, https://openf1.org | a list of objects with `session_key`, `date_start`, `date_end` |
| Jolpica, the successor of Ergast, https://api.jolpi.ca | `MRData.RaceTable.Races`, starts only |
| https://github.com/sportstimes/f1, `_db/f1/2026.json` | `races` with `sessions`, starts only |

Where a source has no ends, sessions are as long as the sport's rules have them. Rounds are renumbered when a
race is dropped, so races are identified by their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ingest_pipeline.domain.sessions.schedule import Schedule
from ingest_pipeline.errors import BadInput, SessionInvalid
from ingest_pipeline.userconfig.schedules.builder import ScheduleBuilder, with_length
from ingest_pipeline.userconfig.schedules.options import ScheduleOptions
from ingest_pipeline.userconfig.session_rows import Value, shown

# Minutes: sportstimes' `sessionLengths`, and the two hours that a Grand Prix may race for.
_SPORTSTIMES = {
    "fp1": ("Practice 1", 60),
    "fp2": ("Practice 2", 60),
    "fp3": ("Practice 3", 60),
    "qualifying": ("Qualifying", 60),
    "sprintQualifying": ("Sprint Qualifying", 60),
    "sprint": ("Sprint", 60),
    "gp": ("Race", 120),
}
_ERGAST = {
    "FirstPractice": ("Practice 1", 60),
    "SecondPractice": ("Practice 2", 60),
    "ThirdPractice": ("Practice 3", 60),
    "Qualifying": ("Qualifying", 60),
    "SprintQualifying": ("Sprint Qualifying", 60),
    "SprintShootout": ("Sprint Qualifying", 60),
    "Sprint": ("Sprint", 60),
}
_RACE = ("Race", 120)
_ODD_SHAPE = (KeyError, TypeError, AttributeError, ValueError)


class _Entry(NamedTuple):
    """One session of a race."""

    where: str
    title: str
    uid: str
    kind: str
    start: str | None
    fixed: Mapping[str, Value]

    @property
    def name(self) -> str:
        return f"{self.title}, {self.kind}"


def read_race_schedule(root: Any, name: str, options: ScheduleOptions) -> Schedule:
    """Read a season's list of sessions; its shape says which source it is from.

    Args:
        root: The decoded JSON.
        name: The file's or address's name in messages.
        options: How it is read.

    Raises:
        BadInput: It is of none of the known sources, or none of its entries can be a session.
    """
    reader = _reader_of(root)
    if isinstance(root, dict) and "messages" in root and reader is None:
        raise BadInput(f"{name} is an export of messages: import it with `ingest import`")
    if reader is None:
        detail = root.get("detail") if isinstance(root, dict) else None
        stated = f" (it says {shown(detail)})" if detail else ""
        raise BadInput(
            f"{name} is no schedule of a known source{stated}: give the sessions of OpenF1, the races of "
            "Jolpica or Ergast, a season of sportstimes/f1, or a calendar (.ics)"
        )
    builder = ScheduleBuilder(options)
    reader(root, builder)
    if not builder.sessions and not builder.left_out and not builder.cancelled:
        raise BadInput(f"{name} holds no sessions: ask for another season")
    return builder.build(name)


def _reader_of(root: Any) -> Callable[[Any, ScheduleBuilder], None] | None:
    if isinstance(root, list) and all("session_key" in each for each in root if isinstance(each, dict)):
        return _read_openf1
    if isinstance(root, dict) and isinstance(root.get("MRData"), dict) and "RaceTable" in root["MRData"]:
        return _read_ergast
    if isinstance(root, dict) and isinstance(root.get("races"), list):
        return _read_sportstimes
    return None


def _read_openf1(root: list[dict[str, Any]], builder: ScheduleBuilder) -> None:
    for number, entry in enumerate((each for each in root if isinstance(each, dict)), 1):
        where, uid = f"session {number}", f"openf1-{entry['session_key']}"
        place = _text(entry.get("circuit_short_name")) or _text(entry.get("location")) or ""
        name = f"{place} {_text(entry.get('session_name')) or ''}".strip()
        if entry.get("is_cancelled"):
            builder.cancel(where, name, uid)
            continue
        values: dict[str, Value] = {
            "start_time": _text(entry.get("date_start")),
            "end_time": _text(entry.get("date_end")),
            "year": _text(entry.get("year")),
            "session_type": _text(entry.get("session_name")),
            "event_name": _text(entry.get("meeting_name")) or place or None,
            "location": _text(entry.get("location")),
            "country": _text(entry.get("country_name")),
        }
        builder.add(where, name, uid, values)


def _read_ergast(root: dict[str, Any], builder: ScheduleBuilder) -> None:
    table = root["MRData"]
    races = table["RaceTable"].get("Races") if isinstance(table["RaceTable"], dict) else None
    races = races if isinstance(races, list) else []
    total = _text(table.get("total"))
    if total and total.isdigit() and int(total) > len(races):
        builder.is_complete = False
        reason = f"only {len(races)} of {total} are in this answer: add ?limit=100 to the address"
        builder.leave_out("races", "", "", reason)
    for number, race in enumerate(races, 1):
        where = f"race {number}"
        try:
            season, title = str(race["season"]), str(race["raceName"])
            location = race["Circuit"]["Location"]
            entries = {"Race": (_RACE, race)} | {
                key: (kind, race[key]) for key, kind in _ERGAST.items() if isinstance(race.get(key), dict)
            }
            fixed: dict[str, Value] = {
                "year": season,
                "round_number": _text(race.get("round")),
                "event_name": title,
                "location": _text(location.get("locality")),
                "country": _text(location.get("country")),
            }
        except _ODD_SHAPE as error:
            builder.leave_out(where, "", "", f"it is not as Jolpica writes races ({shown(str(error))})")
            continue
        for (kind, minutes), entry in entries.values():
            uid = f"{season}-{_slug(title)}-{_slug(kind)}"
            _add(builder, _Entry(where, title, uid, kind, _joined(entry), fixed), minutes)


def _read_sportstimes(root: dict[str, Any], builder: ScheduleBuilder) -> None:
    slugs: Counter[str] = Counter()
    season = _first_year(root["races"])
    for number, race in enumerate(root["races"], 1):
        where = f"race {number}"
        try:
            slug, title = str(race["slug"]), str(race["name"])
            sessions: Mapping[str, Any] = race["sessions"]
            # Outside of Formula 1 two races of a season may share a slug.
            slugs[slug] += 1
            slug = slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}"
            full = f"{title} Grand Prix" if "gp" in sessions and "Grand Prix" not in title else title
            fixed: dict[str, Value] = {
                "year": season,
                "round_number": _text(race.get("round")),
                "event_name": full,
                "location": _text(race.get("location")),
            }
            found = list(_sessions_of(sessions))
        except _ODD_SHAPE as error:
            builder.leave_out(where, "", "", f"it is not as sportstimes writes races ({shown(str(error))})")
            continue
        for key, start in found:
            kind, minutes = _SPORTSTIMES.get(key, (key, None))
            entry = _Entry(where, full, f"{season}-{slug}-{_slug(key)}", kind, start, fixed)
            if race.get("canceled") or race.get("cancelled"):
                builder.cancel(where, entry.name, entry.uid)
            elif race.get("tbc") and not builder.options.tentative:
                builder.leave_out(where, entry.name, entry.uid, "it is not confirmed: --tentative takes it")
            else:
                _add(builder, entry, minutes)


def _first_year(races: list[Any]) -> str | None:
    """Return the year in which a season begins, which the file's name has and its content has not."""
    starts = (
        str(start)[:4]
        for race in races
        if isinstance(race, dict) and isinstance(race.get("sessions"), dict)
        for start in race["sessions"].values()
    )
    return min((year for year in starts if year.isdigit()), default=None)


def _sessions_of(sessions: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for key, start in sessions.items():
        yield str(key), _text(start)


def _add(builder: ScheduleBuilder, entry: _Entry, minutes: int | None) -> None:
    """Take one session of a race that states its start only."""
    if entry.start is None:
        builder.leave_out(entry.where, entry.name, entry.uid, "its time is not known yet")
        return
    values: dict[str, Value] = {**entry.fixed, "session_type": entry.kind, "start_time": entry.start}
    if minutes is not None:
        try:
            values["end_time"] = with_length(entry.start, minutes)
        except SessionInvalid as error:
            builder.leave_out(entry.where, entry.name, entry.uid, str(error))
            return
    builder.add(entry.where, entry.name, entry.uid, values)


def _joined(entry: Mapping[str, Any]) -> str | None:
    date, time = _text(entry.get("date")), _text(entry.get("time"))
    return f"{date}T{time}" if date and time else None


def _slug(text: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None
