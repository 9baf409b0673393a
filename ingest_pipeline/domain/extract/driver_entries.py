"""Entries of the driver table: one driver in one car, as a user writes it in `data/drivers.yaml`.

Which driver a text means is for `drivers.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ingest_pipeline.errors import ConfigurationError

CAR = ("number", "team")

_CODE = re.compile(r"[A-Z]{3}")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# O'Ward is one word, and a zero-width space or joiner stands between no two words.
_INSIDE_WORDS = re.compile("['\u2018\u2019\u02bc\u00ad\u200b-\u200d\u2060\ufeff]")
_REQUIRED = ("name", "code")
_KEYS = (*_REQUIRED, *CAR, "aliases", "from", "to")
# Letters that Unicode does not decompose into a base letter and a mark.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver in one car of one season; who changes cars within it has several.

    Attributes:
        name: Full name as the table writes it, such as `Nico Hülkenberg`.
        code: Three capital letters, such as `HUL`.
        number: The car's number, or None for a driver without a car.
        team: The car's team, or None for a driver without a car.
        season: The year, or None where the table has no seasons.
        aliases: Further names, beyond what the name, code and number give by themselves.
        start: The first day in that car; None if no day is too early.
        end: The first day after it; None if no day is too late.
    """

    name: str
    code: str
    number: int | None = None
    team: str | None = None
    season: int | None = None
    aliases: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None

    @property
    def person(self) -> str:
        """The name without case, accents and punctuation: the same in each of the driver's cars."""
        return fold(self.name)

    def drives_on(self, day: date) -> bool:
        """Return whether the driver was in that car on a day."""
        return (self.start or day) <= day < (self.end or date.max)


def fold(text: str) -> str:
    """Return the text without case, accents and punctuation, words one space apart."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    unmarked = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _NOT_ALPHANUMERIC.sub(" ", _INSIDE_WORDS.sub("", unmarked)).strip()


def read_entries(obj: object) -> list[Driver]:
    """Return the drivers of a YAML or JSON file, once for each car, as written.

    Args:
        obj: What the file holds; see `DriverTable.from_mapping`.

    Raises:
        ConfigurationError: The shape is another, or a value is missing or wrong.
    """
    return [_driver(entry, season) for season, entry in _entries(obj)]


def _entries(obj: object) -> Iterator[tuple[int | None, object]]:
    if not isinstance(obj, Mapping) or len(obj) != 1 or not ({"seasons", "drivers"} & set(obj)):
        raise ConfigurationError(
            f"the driver table must have one key, `seasons` or `drivers`, not {_brief(obj)}"
        )
    if "drivers" in obj:
        yield from ((None, entry) for entry in _listed(obj["drivers"], "`drivers`"))
        return
    if not isinstance(obj["seasons"], Mapping):
        raise ConfigurationError(f"`seasons` must map years to lists, not be {_brief(obj['seasons'])}")
    for season, entries in obj["seasons"].items():
        if isinstance(season, bool) or not isinstance(season, int):
            raise ConfigurationError(f"season {season!r} must be a year such as 2026, without quotes")
        yield from ((season, entry) for entry in _listed(entries, f"season {season}"))


def _listed(value: object, where: str) -> list[object]:
    if isinstance(value, list):
        return value
    raise ConfigurationError(f"{where} must be a list of drivers, not {_brief(value)}")


def _driver(entry: object, season: int | None) -> Driver:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(
            f"driver {_brief(entry)} must be a mapping with the keys {', '.join(_REQUIRED)}"
        )
    required = (*_REQUIRED, *(CAR if any(key in entry for key in CAR) else ()))
    missing = [key for key in required if key not in entry]
    unknown = [str(key) for key in entry if key not in _KEYS]
    if missing or unknown:
        problems = [f"lacks {key}" for key in missing] + [f"has an unknown key {key!r}" for key in unknown]
        raise ConfigurationError(f"driver {_brief(dict(entry))} {', '.join(problems)}: correct the entry")
    driver = Driver(
        name=_text(entry, "name"),
        code=_code(entry),
        number=_number(entry) if "number" in entry else None,
        team=_text(entry, "team") if "team" in entry else None,
        season=season,
        aliases=_aliases(entry),
        start=_day(entry, "from"),
        end=_day(entry, "to"),
    )
    if driver.start and driver.end and driver.end <= driver.start:
        raise ConfigurationError(
            f"driver {driver.name!r}: `to` is the first day after the last, {driver.end} is not after "
            f"`from`, {driver.start}"
        )
    return driver


def _text(entry: Mapping[Any, Any], key: str) -> str:
    value = entry[key]
    if isinstance(value, str) and fold(value):
        return value.strip()
    raise ConfigurationError(f"driver {_brief(entry['name'])}: {key} must be a text, not {_brief(value)}")


def _code(entry: Mapping[Any, Any]) -> str:
    value = entry["code"]
    if isinstance(value, str) and _CODE.fullmatch(value):
        return value
    raise ConfigurationError(
        f"driver {_brief(entry['name'])}: code must be three capital letters such as LEC, "
        f"not {_brief(value)}; quote it if YAML reads it as something else"
    )


def _number(entry: Mapping[Any, Any]) -> int:
    value = entry["number"]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 999:
        return value
    raise ConfigurationError(
        f"driver {_brief(entry['name'])}: number must be a whole number from 0 to 999, not {_brief(value)}"
    )


def _day(entry: Mapping[Any, Any], key: str) -> date | None:
    value = entry.get(key)
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ConfigurationError(
        f"driver {_brief(entry['name'])}: {key} must be a date such as 2026-03-06, not {_brief(value)}"
    )


def _aliases(entry: Mapping[Any, Any]) -> tuple[str, ...]:
    value = entry.get("aliases") or []
    if isinstance(value, list) and all(isinstance(alias, str) and fold(alias) for alias in value):
        return tuple(alias.strip() for alias in value)
    raise ConfigurationError(
        f"driver {_brief(entry['name'])}: aliases must be a list of texts, not {_brief(value)}; "
        "quote what YAML reads as something else"
    )


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
