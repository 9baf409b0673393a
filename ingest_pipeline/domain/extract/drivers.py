"""Drivers by name: one driver for `Leclerc`, `LEC`, `Charles Leclerc` and `16`.

The table is a file that a user edits (`data/drivers.yaml`): seasons, each with its grid, because
numbers and teams change from one year to the next; or, for any other sport, one plain list.
Collecting the names that nobody knows is for the caller: `DriverTable.resolve` returns None for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest_pipeline.errors import ConfigurationError

_CODE = re.compile(r"[A-Z]{3}")
_CAR_NUMBER = re.compile(r"(?:car |no |number )?([0-9]{1,3})")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_REQUIRED = ("name", "code", "number", "team")
# Letters that Unicode does not decompose into a base letter and a mark.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver in one season.

    Attributes:
        name: Full name as the table writes it, such as `Nico Hülkenberg`.
        code: Three capital letters, such as `HUL`.
        number: The car's number in that season.
        team: The team of that season; for a driver who changed within it, the last one.
        season: The year, or None where the table has no seasons.
        aliases: Further names, beyond what the name, code and number give by themselves.
    """

    name: str
    code: str
    number: int
    team: str
    season: int | None = None
    aliases: tuple[str, ...] = ()


class DriverTable:
    """Names, codes and numbers of the drivers of one or several seasons.

    A driver is found by the full name, the last word of it (`Leclerc`), initial and last word
    (`C. Leclerc`), the code, the number (`16`, `#16`, `car 16`) and every alias, whatever the case,
    accents and punctuation. A last word that two drivers of a season share names neither of them,
    unless it is given to one as an alias.
    """

    def __init__(self, drivers: Sequence[Driver]) -> None:
        """Index the drivers.

        Args:
            drivers: Every driver of every season.

        Raises:
            ConfigurationError: Two drivers of a season have a name, code, number or alias in common,
                or an alias repeats what its driver has anyway.
        """
        self.drivers = tuple(drivers)
        seasons = sorted({driver.season for driver in drivers}, key=lambda season: season or 0)
        self._by_season = {
            season: _index([driver for driver in drivers if driver.season == season]) for season in seasons
        }
        self._by_any_season = _merge(list(self._by_season.values()))

    @classmethod
    def from_mapping(cls, obj: object) -> DriverTable:
        """Build the table from what a YAML or JSON file holds.

        Args:
            obj: `{"seasons": {2026: [entry, …], …}}` or `{"drivers": [entry, …]}`, where an entry is a
                mapping with `name`, `code`, `number`, `team` and, if wanted, a list `aliases`.

        Raises:
            ConfigurationError: The shape is another, a value is missing or wrong, or two drivers
                cannot be distinguished.
        """
        return cls([_driver(entry, season) for season, entry in _entries(obj)])

    @property
    def seasons(self) -> tuple[int, ...]:
        """The seasons in the table, ascending; empty for a plain list."""
        return tuple(season for season in self._by_season if season is not None)

    def resolve(self, text: str, season: int | None = None) -> Driver | None:
        """Find the driver that a text means.

        Args:
            text: A name, code, number or alias as written in a message.
            season: The session's year. A text that the season does not have, and any text when no
                season is given, is looked up over all seasons, where it must mean one person; the
                newest entry is returned. So a reserve driver is found although not on the grid,
                and `1`, which passes from champion to champion, only with its season. A number
                holds for its season alone: one that the given season does not have is unknown.

        Returns:
            The driver, or None for a text that is unknown or means several.
        """
        key = _fold(text)
        number = _CAR_NUMBER.fullmatch(key)
        if number:
            key = number[1]
        found = self._by_season.get(season, {}).get(key)
        if found is not None or (number and season is not None and self.seasons):
            return found
        return self._by_any_season.get(key)


def load_drivers(path: Path) -> DriverTable:
    """Read the table from a YAML file.

    Args:
        path: The file, UTF-8, shaped as `DriverTable.from_mapping` wants it.

    Raises:
        ConfigurationError: The file cannot be read, is not YAML, or is refused by `from_mapping`.
    """
    import yaml

    try:
        obj = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"cannot read the drivers from {path}: {error}. Correct the file") from error
    try:
        return DriverTable.from_mapping(obj)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _fold(text: str) -> str:
    """Return the text without case, accents and punctuation, words one space apart."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    unmarked = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _NOT_ALPHANUMERIC.sub(" ", unmarked).strip()


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
    missing = [key for key in _REQUIRED if key not in entry]
    unknown = [str(key) for key in entry if key not in {*_REQUIRED, "aliases"}]
    if missing or unknown:
        problems = [f"lacks {key}" for key in missing] + [f"has an unknown key {key!r}" for key in unknown]
        raise ConfigurationError(f"driver {_brief(dict(entry))} {', '.join(problems)}: correct the entry")
    return Driver(
        name=_text(entry, "name"),
        code=_code(entry),
        number=_number(entry),
        team=_text(entry, "team"),
        season=season,
        aliases=_aliases(entry),
    )


def _text(entry: Mapping[Any, Any], key: str) -> str:
    value = entry[key]
    if isinstance(value, str) and _fold(value):
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


def _aliases(entry: Mapping[Any, Any]) -> tuple[str, ...]:
    value = entry.get("aliases") or []
    if isinstance(value, list) and all(isinstance(alias, str) and _fold(alias) for alias in value):
        return tuple(alias.strip() for alias in value)
    raise ConfigurationError(
        f"driver {_brief(entry['name'])}: aliases must be a list of texts, not {_brief(value)}; "
        "quote what YAML reads as something else"
    )


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _index(drivers: Sequence[Driver]) -> dict[str, Driver]:
    """Return the drivers of one season by every folded name they go by."""
    index: dict[str, Driver] = {}
    for driver in drivers:
        for label, value in _own_names(driver):
            _claim(index, driver, label, value)
    derived: dict[str, set[Driver]] = {}
    for driver in drivers:
        for key in _derived_names(driver):
            derived.setdefault(key, set()).add(driver)
    for key, owners in derived.items():
        if len(owners) == 1:
            owner = next(iter(owners))
            if index.setdefault(key, owner) != owner:
                _refuse(key, owner, index[key], "last name")
    return index


def _own_names(driver: Driver) -> Iterator[tuple[str, str]]:
    yield "name", driver.name
    yield "code", driver.code
    yield "number", str(driver.number)
    yield from (("alias", alias) for alias in driver.aliases)


def _derived_names(driver: Driver) -> set[str]:
    words = _fold(driver.name).split()
    return {words[-1], f"{words[0][0]} {words[-1]}"}


def _claim(index: dict[str, Driver], driver: Driver, label: str, value: str) -> None:
    key = _fold(value)
    holder = index.setdefault(key, driver)
    if holder is not driver:
        _refuse(value, driver, holder, label)
    if label == "alias" and [_fold(name) for _, name in _own_names(driver)].count(key) > 1:
        raise ConfigurationError(
            f"driver {driver.name!r}: alias {value!r} repeats what the entry has anyway: remove it"
        )


def _refuse(value: str, driver: Driver, holder: Driver, label: str) -> None:
    where = f" in season {driver.season}" if driver.season is not None else ""
    if _fold(driver.name) == _fold(holder.name):
        raise ConfigurationError(f"driver {driver.name!r} is listed twice{where}: keep one entry")
    raise ConfigurationError(
        f"{label} {value!r} means both {holder.name!r} and {driver.name!r}{where}: "
        "give it to one of them only"
    )


def _merge(seasons: Sequence[Mapping[str, Driver]]) -> dict[str, Driver]:
    """Return the names that mean one and the same person in every season, newest entry last."""
    merged: dict[str, Driver] = {}
    disputed: set[str] = set()
    for season in seasons:
        for key, driver in season.items():
            other = merged.get(key)
            if other is not None and _fold(other.name) != _fold(driver.name):
                disputed.add(key)
            merged[key] = driver
    return {key: driver for key, driver in merged.items() if key not in disputed}
