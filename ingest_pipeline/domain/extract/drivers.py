"""Drivers by name: one driver for `Leclerc`, `LEC`, `Charles Leclerc`, `16` and `LEC - 16`.

The table is a file that a user edits (`data/drivers.yaml`): seasons, each with its grid, because
numbers and teams change from one year to the next, and dates where they change within one; or, for any
other sport, one plain list.
Collecting the names that nobody knows is for the caller: `DriverTable.resolve` returns None for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path

from ingest_pipeline.domain.extract.driver_entries import CAR, Driver, fold, read_entries
from ingest_pipeline.errors import ConfigurationError

_CAR_NUMBER = re.compile(r"(?:car |no |number )?([0-9]{1,3})")
_NAME_AND_NUMBER = re.compile(
    r"(?P<name>[^0-9]+?)(?: car| no| number)? (?P<number>[0-9]{1,3})"
    r"|(?:car |no |number )?(?P<number_before>[0-9]{1,3}) (?P<name_after>[^0-9]+)"
)


class DriverTable:
    """Names, codes and numbers of the drivers of one or several seasons.

    A driver is found by the full name, the last word of it (`Leclerc`), initial and last word
    (`C. Leclerc`), the code, the number (`16`, `#16`, `car 16`), every alias, and one of the names
    together with the number (`LEC - 16`, `16 LEC`), whatever the case, accents and punctuation. A last
    word that two drivers of a season share names neither of them, unless it is given to one as an alias.
    """

    def __init__(self, drivers: Sequence[Driver]) -> None:
        """Index the drivers.

        Args:
            drivers: Every driver of every season, once for each car.

        Raises:
            ConfigurationError: Two drivers of a season have a name, code or alias in common, or on the same
                day a number; one driver is in two cars on the same day; or an alias repeats what its driver
                has anyway.
        """
        self.drivers = tuple(drivers)
        seasons = sorted({driver.season for driver in drivers}, key=lambda season: season or 0)
        self._by_season = {
            season: _index([driver for driver in drivers if driver.season == season]) for season in seasons
        }
        self._by_any_season = _merge(list(self._by_season.values()))
        self._cars = {(driver.person, driver.number) for driver in drivers}

    @classmethod
    def from_mapping(cls, obj: object) -> DriverTable:
        """Build the table from what a YAML or JSON file holds.

        Args:
            obj: `{"seasons": {2026: [entry, …], …}}` or `{"drivers": [entry, …]}`, where an entry is a
                mapping with `name`, `code`, both or neither of `number` and `team`, and, if wanted, a list
                `aliases` and the dates `from` (first day in the car) and `to` (first day after it).

        Raises:
            ConfigurationError: The shape is another, a value is missing or wrong, or two drivers
                cannot be distinguished.
        """
        return cls(read_entries(obj))

    @property
    def seasons(self) -> tuple[int, ...]:
        """The seasons in the table, ascending; empty for a plain list."""
        return tuple(season for season in self._by_season if season is not None)

    def resolve(self, text: str, season: int | None = None, day: date | None = None) -> Driver | None:
        """Find the driver that a text means.

        Args:
            text: A name, code, number or alias as written in a message, or a name with the number.
            season: The session's year. A name that the season does not have is looked up over all
                seasons, where it must mean one person: so a reserve driver is found although not on the
                grid. A number that the season does not have is unknown. Without a season every text is
                looked up over all of them.
            day: When it was written, a date in UTC; it selects the car of a driver who changed cars, and
                the driver of a number that changed hands.

        Returns:
            The driver, with the number and team of that season and day alone: both are None for a driver
            known from another season only, each is None where the driver's cars of that season differ in it
            and the day does not decide. None for a text that is unknown or means several, or whose name and
            number do not belong together in any season.
        """
        key = fold(text)
        found = self._find(key, season, day)
        both = _NAME_AND_NUMBER.fullmatch(key) if found is None else None
        if both is None:
            return found
        number = int(both["number"] or both["number_before"])
        found = self._find(both["name"] or both["name_after"], season, day, number)
        return found if found and (found.person, number) in self._cars else None

    def _find(
        self, key: str, season: int | None, day: date | None, number: int | None = None
    ) -> Driver | None:
        written = _CAR_NUMBER.fullmatch(key)
        if written:
            key = str(int(written[1]))
        entries = self._by_season.get(season if self.seasons else None, {}).get(key, ())
        if number is not None:
            entries = tuple(entry for entry in entries if entry.number == number) or entries
        if day is not None:
            entries = tuple(entry for entry in entries if entry.drives_on(day)) or entries
        if entries or (written and season is not None):
            return _agreed(entries)
        elsewhere = self._by_any_season.get(key)
        return elsewhere and replace(elsewhere, number=None, team=None, season=None)


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
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no such day, or not UTF-8
        raise ConfigurationError(f"cannot read the drivers from {path}: {error}. Correct the file") from error
    try:
        return DriverTable.from_mapping(obj)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _index(drivers: Sequence[Driver]) -> dict[str, tuple[Driver, ...]]:
    """Return the entries of one season by every folded name they go by, and by number."""
    for one, other in combinations(drivers, 2):
        if _overlap(one, other) and (one.person == other.person or one.number == other.number is not None):
            _refuse(str(other.number), other, one, "number")
    cars = _grouped((str(driver.number), driver) for driver in drivers if driver.number is not None)
    names = {number: entries[0] for number, entries in cars.items()}
    for driver in drivers:
        for label, value in _own_names(driver):
            if label != "number":
                _claim(names, driver, label, value)
    derived = _grouped((key, driver) for driver in drivers for key in _derived_names(driver))
    for key, owners in derived.items():
        owner = _agreed(owners)
        if owner is not None and names.setdefault(key, owner).person != owner.person:
            _refuse(key, owner, names[key], "last name")
    people = _grouped((driver.person, driver) for driver in drivers)
    return {key: tuple(cars.get(key) or people[driver.person]) for key, driver in names.items()}


def _grouped(pairs: Iterable[tuple[str, Driver]]) -> dict[str, list[Driver]]:
    groups: dict[str, list[Driver]] = {}
    for key, driver in pairs:
        groups.setdefault(key, []).append(driver)
    return groups


def _overlap(one: Driver, other: Driver) -> bool:
    first, last = date.min, date.max
    return max(one.start or first, other.start or first) < min(one.end or last, other.end or last)


def _agreed(entries: Sequence[Driver]) -> Driver | None:
    """Return the one person of some entries, with what they agree on; None for several people."""
    if len({entry.person for entry in entries}) != 1:
        return None
    number, team = ({getattr(entry, each) for entry in entries} for each in CAR)
    return replace(
        entries[-1],
        number=number.pop() if len(number) == 1 else None,
        team=team.pop() if len(team) == 1 else None,
    )


def _own_names(driver: Driver) -> Iterator[tuple[str, str]]:
    yield "name", driver.name
    yield "code", driver.code
    if driver.number is not None:
        yield "number", str(driver.number)
    yield from (("alias", alias) for alias in driver.aliases)


def _derived_names(driver: Driver) -> set[str]:
    words = driver.person.split()
    return {words[-1], f"{words[0][0]} {words[-1]}"}


def _claim(names: dict[str, Driver], driver: Driver, label: str, value: str) -> None:
    key = fold(value)
    holder = names.setdefault(key, driver)
    if holder.person != driver.person:
        _refuse(value, driver, holder, label)
    if label == "alias" and [fold(name) for _, name in _own_names(driver)].count(key) > 1:
        raise ConfigurationError(
            f"driver {driver.name!r}: alias {value!r} repeats what the entry has anyway: remove it"
        )


def _refuse(value: str, driver: Driver, holder: Driver, label: str) -> None:
    where = f" in season {driver.season}" if driver.season is not None else ""
    if driver.person == holder.person:
        raise ConfigurationError(
            f"driver {driver.name!r} is listed twice{where}: keep one entry, or give both the dates `from` "
            "and `to` so that they do not overlap"
        )
    dates = ", or to each in its time by `from` and `to`" if label == "number" else ""
    raise ConfigurationError(
        f"{label} {value!r} means both {holder.name!r} and {driver.name!r}{where}: "
        f"give it to one of them only{dates}"
    )


def _merge(seasons: Sequence[Mapping[str, Sequence[Driver]]]) -> dict[str, Driver]:
    """Return the names that mean one and the same person in every season, newest entry last."""
    merged: dict[str, Driver] = {}
    disputed: set[str] = set()
    for season in seasons:
        for key, entries in season.items():
            people = {entry.person for entry in (*entries, merged.get(key, entries[0]))}
            if len(people) > 1:
                disputed.add(key)
            merged[key] = entries[-1]
    return {key: driver for key, driver in merged.items() if key not in disputed}
