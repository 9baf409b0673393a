"""A name, code, number or alias in a message means one driver, or none."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.driver_entries import Driver
from ingest_pipeline.domain.extract.drivers import DriverTable, load_drivers
from ingest_pipeline.errors import ConfigurationError

DRIVERS_FILE = Path(__file__).parents[4] / "data" / "drivers.yaml"
EXPECTED = Path(__file__).parents[3] / "fixtures" / "drivers_expected.csv"


def entry(name: Any = "Charles Leclerc", code: Any = "LEC", number: Any = 16, **more: Any) -> dict[str, Any]:
    """Return a driver's entry as a YAML file would hold it."""
    return {"name": name, "code": code, "number": number, "team": "Ferrari", **more}


def table(*entries: dict[str, Any]) -> DriverTable:
    """Return a table without seasons."""
    return DriverTable.from_mapping({"drivers": list(entries)})


@pytest.fixture(scope="module")
def grid() -> DriverTable:
    """Return the table that ships with the project."""
    return load_drivers(DRIVERS_FILE)


def name_of(driver: Driver | None) -> str | None:
    """Return a found driver's name."""
    return driver.name if driver else None


def car_of(driver: Driver | None) -> tuple[int | None, str | None] | None:
    """Return a found driver's number and team."""
    return (driver.number, driver.team) if driver else None


@pytest.mark.parametrize(
    "text",
    [
        "Leclerc",
        "LEC",
        "Charles Leclerc",
        "16",
        "leclerc",
        "LECLERC",
        " #16 ",
        "Car 16",
        "C. Leclerc",
        "lec:",
        "LEC - 16",
        "lec (16)",
        "16 LEC",
        "#16 Leclerc",
        "Charles Leclerc No. 16",
        "Car 16: Leclerc",
        "L\u200bEC\ufeff",
    ],
)
def test_every_way_to_write_a_driver_means_the_same_one(grid: DriverTable, text: str) -> None:
    """Name, code, number and their variations are one driver."""
    assert name_of(grid.resolve(text)) == "Charles Leclerc"
    assert name_of(grid.resolve(text, season=2026)) == "Charles Leclerc"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hulkenberg", "Nico Hülkenberg"),
        ("HÜLKENBERG", "Nico Hülkenberg"),
        ("Hu\u0308lkenberg", "Nico Hülkenberg"),
        ("Huelkenberg", "Nico Hülkenberg"),
        ("perez", "Sergio Pérez"),
        ("Checo", "Sergio Pérez"),
        ("Kimi", "Kimi Antonelli"),
        ("Ollie Bearman", "Oliver Bearman"),
        ("oward", "Patricio O'Ward"),
        ("O’Ward", "Patricio O'Ward"),
        ("Ryo Hirakawa", "Ryō Hirakawa"),
    ],
)
def test_accents_and_nicknames_do_not_matter(grid: DriverTable, text: str, name: str) -> None:
    """Case, accents (composed or not) and aliases lead to the driver."""
    assert name_of(grid.resolve(text)) == name


@pytest.mark.parametrize("text", ["", " ", "???", "Senna", "SEN", "999", "Leclerc Hamilton", "softs", "🎙️"])
def test_an_unknown_name_is_none(grid: DriverTable, text: str) -> None:
    """What nobody goes by is left to the caller to report."""
    assert grid.resolve(text) is None


def test_the_champions_number_needs_its_season(grid: DriverTable) -> None:
    """1 is Verstappen's in 2025 and Norris's in 2026; without a season it means nobody."""
    assert name_of(grid.resolve("1", season=2025)) == "Max Verstappen"
    assert name_of(grid.resolve("1", season=2026)) == "Lando Norris"
    assert grid.resolve("1") is None


def test_a_number_holds_for_its_own_season_only(grid: DriverTable) -> None:
    """Neither a number the season lacks nor one of a season outside the table is guessed."""
    assert name_of(grid.resolve("3", season=2026)) == "Max Verstappen"
    assert grid.resolve("3", season=2025) is None
    assert grid.resolve("16", season=1999) is None


@pytest.mark.parametrize("text", ["44 VER", "HAM (4)", "Leclerc - 39", "3 16"])
def test_a_name_with_the_number_of_another_is_nobodys(grid: DriverTable, text: str) -> None:
    """Which of the two is meant is not guessed."""
    assert grid.resolve(text, season=2025) is None


def test_a_name_may_stand_with_a_number_of_another_season(grid: DriverTable) -> None:
    """A bot that still writes the champion's number means the driver, whose number is the season's."""
    assert car_of(grid.resolve("VER - 1", season=2025)) == (1, "Red Bull")
    assert car_of(grid.resolve("VER - 1", season=2026)) == (3, "Red Bull")


def test_the_number_written_shows_which_car(grid: DriverTable) -> None:
    """A driver of two cars in a season has the one whose number stands there, alone or with the name."""
    assert car_of(grid.resolve("IWA 40", season=2025)) == (40, "Racing Bulls")
    assert car_of(grid.resolve("37", season=2025)) == (37, "Red Bull")


def test_number_and_team_are_of_the_season_or_unknown(grid: DriverTable) -> None:
    """The same person has another team in another year, and none where the year is not known."""
    cars = [car_of(grid.resolve("Hadjar", season)) for season in (2025, 2026, 2024, None)]
    assert cars == [(6, "Racing Bulls"), (6, "Red Bull"), (None, None), (None, None)]


def test_a_driver_of_another_season_is_known_without_car(grid: DriverTable) -> None:
    """Who drives a free practice is identified, and neither number, team nor season is reported."""
    doohan = grid.resolve("Doohan", season=2026)
    assert doohan is not None
    assert (doohan.code, doohan.number, doohan.team, doohan.season) == ("DOO", None, None, None)


@pytest.mark.parametrize(
    ("text", "day", "car"),
    [
        ("Tsunoda", date(2025, 3, 23), (22, "Racing Bulls")),
        ("Tsunoda", date(2025, 4, 6), (22, "Red Bull")),
        ("Tsunoda", None, (22, None)),
        ("LAW", date(2025, 3, 26), (30, "Red Bull")),
        ("30", date(2025, 3, 27), (30, "Racing Bulls")),
        ("Iwasa", date(2025, 4, 11), (37, "Red Bull")),
        ("Iwasa", date(2025, 7, 1), (None, None)),
        ("Hirakawa", date(2025, 12, 5), (50, "Haas")),
        ("Lawson", date(2026, 8, 21), (30, "Red Bull")),
        ("Lawson", date(2026, 9, 6), (30, None)),
    ],
)
def test_a_driver_who_changed_cars_has_the_one_of_the_day(
    grid: DriverTable, text: str, day: date | None, car: tuple[int | None, str | None]
) -> None:
    """Without a day, or on one in neither car, only what both cars have in common is reported."""
    assert car_of(grid.resolve(text, (day or date(2025, 1, 1)).year, day)) == car


def test_a_number_that_changed_hands_is_that_of_the_day(grid: DriverTable) -> None:
    """38 was Beganovic's in June and Fuoco's in October; between them it is nobody's."""
    days = [date(2025, 6, 27), date(2025, 10, 24), date(2025, 8, 1), None]
    found = [name_of(grid.resolve("38", 2025, day)) for day in days]
    assert found == ["Dino Beganovic", "Antonio Fuoco", None, None]


@pytest.mark.parametrize("column", ["text", "code", "name"])
def test_drivers_of_first_practices_are_as_recorded(grid: DriverTable, column: str) -> None:
    """Name, code, number and team of each season come out as in the list, empty ones too."""
    with EXPECTED.open(encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    assert len(expected) == 11
    for row in expected:
        found = grid.resolve(row[column], int(row["season"]))
        assert found is not None, row
        assert [found.code, found.name, str(found.number or ""), found.team or ""] == [
            row[each] for each in ("code", "name", "number", "team")
        ]


def test_the_shipped_grids_are_complete(grid: DriverTable) -> None:
    """On its days of racing each team has two of the season's twenty or twenty-two drivers."""
    assert grid.seasons == (2025, 2026)
    for day, teams in ((date(2025, 3, 16), 10), (date(2025, 12, 7), 10), (date(2026, 3, 8), 11)):
        cars = [driver for driver in grid.drivers if driver.season == day.year and driver.drives_on(day)]
        assert len({driver.team for driver in cars if driver.team}) == teams
        assert all(
            sum(driver.team == team for driver in cars) >= 2 for team in {each.team for each in cars} - {None}
        )


def test_a_plain_list_serves_any_sport() -> None:
    """Without seasons the season asked for does not matter."""
    drivers = table(entry(aliases=["Il Predestinato"]))
    assert drivers.seasons == ()
    assert name_of(drivers.resolve("il predestinato", season=2026)) == "Charles Leclerc"
    assert name_of(drivers.resolve("16", season=2026)) == "Charles Leclerc"


def test_a_last_name_of_two_names_neither() -> None:
    """Brothers are distinguished by full name, initial, code and number, and never by chance."""
    drivers = table(entry("Michael Schumacher", "MSC", 1), entry("Ralf Schumacher", "RSC", 11))
    assert drivers.resolve("Schumacher") is None
    assert name_of(drivers.resolve("R. Schumacher")) == "Ralf Schumacher"
    assert name_of(drivers.resolve("MSC")) == "Michael Schumacher"


def test_an_alias_can_give_a_shared_last_name_to_one() -> None:
    """Where everyone calls one of the two by it, the table may say so."""
    drivers = table(
        entry("Michael Schumacher", "MSC", 1, aliases=["Schumacher"]), entry("Ralf Schumacher", "RSC", 11)
    )
    assert name_of(drivers.resolve("schumacher")) == "Michael Schumacher"


def test_a_name_that_meant_another_in_another_season_needs_its_season() -> None:
    """Over all seasons a text must mean one person."""
    drivers = DriverTable.from_mapping(
        {
            "seasons": {
                2025: [entry(aliases=["Champ"])],
                2026: [entry("Lando Norris", "NOR", 4, aliases=["Champ"])],
            }
        }
    )
    assert drivers.resolve("Champ") is None
    assert name_of(drivers.resolve("Champ", season=2025)) == "Charles Leclerc"


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (entry("Arthur Leclerc", "LEC", 17), "code 'LEC' means both 'Charles Leclerc' and 'Arthur Leclerc'"),
        (entry("Arthur Leclerc", "ART", 16), "number '16' means both"),
        (
            entry("Arthur Leclerc", "ART", 17, aliases=["charles LECLERC"]),
            "alias 'charles LECLERC' means both",
        ),
        (entry("Lewis Hamilton", "HAM", 44, aliases=["Lèc"]), "alias 'Lèc' means both"),
        (entry("Lewis Hamilton", "HAM", 44, aliases=["#16"]), "alias '#16' means both"),
        (entry("Lewis Hamilton", "HAM", 44, aliases=["Leclerc"]), "'leclerc' means both"),
        (entry("charles leclerc", "CHA", 17), "listed twice: keep one entry"),
        (entry("charles leclerc", "LEC", 17, **{"from": date(2026, 5, 1)}), "so that they do not overlap"),
        (entry("Lewis Hamilton", "HAM", 16, to=date(2026, 5, 1)), "number '16' means both"),
        (entry("Lewis Hamilton", "HAM", 44, aliases=["Lewis", "lewis"]), "repeats what the entry has anyway"),
        (entry("Lewis Hamilton", "HAM", 44, aliases=["ham"]), "alias 'ham' repeats"),
    ],
)
def test_an_ambiguous_name_is_refused(second: dict[str, Any], says: str) -> None:
    """Two drivers that share a name, code, number or alias are refused, naming both."""
    with pytest.raises(ConfigurationError) as refused:
        table(entry(), second)
    assert says in str(refused.value)


def test_a_number_and_a_driver_may_change_cars_by_date() -> None:
    """`to` is the first day after, so that one entry begins where the other ends."""
    day = date(2026, 5, 1)
    drivers = table(
        entry(to=day), entry(number=17, **{"from": day}), entry("Lewis Hamilton", "HAM", 16, **{"from": day})
    )
    before = date(2026, 4, 30)
    assert [car_of(drivers.resolve("LEC", None, each)) for each in (before, day)] == [
        (16, "Ferrari"),
        (17, "Ferrari"),
    ]
    assert [name_of(drivers.resolve("16", None, each)) for each in (before, day)] == [
        "Charles Leclerc",
        "Lewis Hamilton",
    ]


def test_a_reserve_needs_no_car() -> None:
    """An entry of name and code alone is a driver without number and team."""
    drivers = table({"name": "Zhou Guanyu", "code": "ZHO"}, {"name": "Antonio Giovinazzi", "code": "GIO"})
    assert car_of(drivers.resolve("zho")) == (None, None)


def test_two_seasons_may_share_everything() -> None:
    """The same driver stands in every season he drives."""
    drivers = DriverTable.from_mapping({"seasons": {2025: [entry()], 2026: [entry()]}})
    assert [driver.season for driver in drivers.drivers] == [2025, 2026]


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        (None, "one key, `seasons` or `drivers`"),
        ({}, "one key"),
        ({"drivers": [], "seasons": {}}, "one key"),
        ({"driver": []}, "one key"),
        ({"drivers": {}}, "`drivers` must be a list"),
        ({"seasons": []}, "`seasons` must map years"),
        ({"seasons": {"2026": []}}, "season '2026' must be a year"),
        ({"seasons": {True: []}}, "season True must be a year"),
        ({"seasons": {2026: {}}}, "season 2026 must be a list"),
        ({"drivers": ["Leclerc"]}, "must be a mapping with the keys name, code"),
        ({"drivers": [{"name": "Leclerc"}]}, "lacks code"),
        ({"drivers": [{"name": "Leclerc", "code": "LEC", "number": 16}]}, "lacks team"),
        ({"drivers": [{"name": "Leclerc", "code": "LEC", "team": "Ferrari"}]}, "lacks number"),
        ({"drivers": [entry(to="2026-05-01")]}, "to must be a date such as 2026-03-06, not '2026-05-01'"),
        ({"drivers": [entry(to=datetime(2026, 5, 1, 12, tzinfo=UTC))]}, "to must be a date"),
        ({"drivers": [entry(to=date(2026, 5, 1), **{"from": date(2026, 5, 1)})]}, "is not after `from`"),
        ({"drivers": [entry(nick="Charlie")]}, "unknown key 'nick'"),
        ({"drivers": [entry(name="  ")]}, "name must be a text"),
        ({"drivers": [entry(name=44)]}, "name must be a text, not 44"),
        ({"drivers": [entry(team=None)]}, "team must be a text, not None"),
        ({"drivers": [entry(code="lec")]}, "three capital letters such as LEC, not 'lec'"),
        ({"drivers": [entry(code=False)]}, "not False; quote it"),
        ({"drivers": [entry(number="16")]}, "whole number from 0 to 999, not '16'"),
        ({"drivers": [entry(number=True)]}, "not True"),
        ({"drivers": [entry(number=-1)]}, "not -1"),
        ({"drivers": [entry(aliases="Charlie")]}, "aliases must be a list"),
        ({"drivers": [entry(aliases=[16])]}, "aliases must be a list of texts"),
        ({"drivers": [entry(aliases=["!"])]}, "aliases must be a list of texts"),
        ({"drivers": ["x" * 500]}, "..."),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_wrong(obj: object, says: str) -> None:
    """The message names the driver, the field, the value and what it should be."""
    with pytest.raises(ConfigurationError) as refused:
        DriverTable.from_mapping(obj)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "text", [b"drivers: [", b"\xff\xfe\x00", b"drivers:\n  - {name: Leclerc}", b"drivers: [2026-02-30]"]
)
def test_a_wrong_file_is_named(tmp_path: Path, text: bytes) -> None:
    """What cannot be read, decoded or accepted is said together with the file."""
    path = tmp_path / "drivers.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigurationError, match=r"drivers\.yaml"):
        load_drivers(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """An absent file is a matter of configuration."""
    with pytest.raises(ConfigurationError, match=r"absent\.yaml.*Correct the file"):
        load_drivers(tmp_path / "absent.yaml")


@given(st.text(), st.none() | st.integers(2020, 2030))
def test_any_text_can_be_looked_up(text: str, season: int | None) -> None:
    """No text fails, and what is found goes by a part of the text."""
    found = table(entry(), entry("Nico Hülkenberg", "HUL", 27)).resolve(text, season)
    assert found is None or found.name in {"Charles Leclerc", "Nico Hülkenberg"}
