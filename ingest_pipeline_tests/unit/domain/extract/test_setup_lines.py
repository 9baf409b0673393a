"""One setup line is read into its numbers, or refused with the reason; nothing is guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingest_pipeline.domain.extract.setups.grammar import SetupLine, read_setup
from ingest_pipeline.domain.extract.setups.tail import Details, Refusal, read_details
from ingest_pipeline.domain.extract.setups.tokens import clean


def read(line: str) -> SetupLine:
    """Return a line's setup; the test fails on a refusal."""
    found = read_setup(clean(line))
    assert isinstance(found, SetupLine), found
    return found


def refused(line: str) -> str:
    """Return why a line is refused; the test fails on a setup."""
    found = read_setup(clean(line))
    assert isinstance(found, Refusal), found
    return found.reason


def numbers(text: str) -> tuple[Decimal, ...]:
    """Return prices written with spaces between."""
    return tuple(Decimal(number) for number in text.split())


@pytest.mark.parametrize(
    ("line", "kind", "direction", "aggressiveness", "level", "targets", "label"),
    [
        (
            "❌ Rejection Short Near 144.00 🔻 141.40, 139.20, 137.60",
            "rejection", "short", None, "144.00", "141.40 139.20 137.60", "Rejection Short Near",
        ),
        (
            "🔻 Aggressive Breakdown Below 141.33 🔻 139.90, 138.40",
            "breakdown", "short", "aggressive", "141.33", "139.90 138.40", "Aggressive Breakdown Below",
        ),
        (
            "🔼 Conservative Breakout Above 146.20 🔼 148.00, 150.50",
            "breakout", "long", "conservative", "146.20", "148.00 150.50", "Conservative Breakout Above",
        ),
        (
            "🔄 Bounce Zone 138.50–139.00 🔼 142.00, 143.80",
            "bounce", "long", None, "138.50 139.00", "142.00 143.80", "Bounce Zone",
        ),
        ("🔻 Breakdown 319.38 🔻 317.10", "breakdown", "short", None, "319.38", "317.10", "Breakdown"),
        ("❌ Rejection 323.38 🔻 319.80", "rejection", "short", None, "323.38", "319.80", "Rejection"),
        ("🔄 Bounce From 284.80 (286.5, 288)", "bounce", "long", None, "284.80", "286.5 288", "Bounce From"),
        ("📈 Bounce Zone Near 62.38 🔼 64.70", "bounce", "long", None, "62.38", "64.70", "Bounce Zone Near"),
        (
            "Breaking out above 185, targets 188, 190",
            "breakout", "long", None, "185", "188 190", "Breaking out above",
        ),
        ("Break-down below 185 🔻 183", "breakdown", "short", None, "185", "183", "Break-down below"),
        ("BREAKOUT ABOVE 185 🔼 188", "breakout", "long", None, "185", "188", "BREAKOUT ABOVE"),
        (
            "🔼 Aggressive Long Over 83.75 🔼 85.80",
            "breakout", "long", "aggressive", "83.75", "85.80", "Aggressive Long Over",
        ),
        (
            "🔻 Con Short Under 83.75 🔻 80",
            "breakdown", "short", "conservative", "83.75", "80", "Con Short Under",
        ),
        ("🔻 Con 560.00 🔻 558.50", "breakdown", "short", "conservative", "560.00", "558.50", "Con"),
        ("🔼 Agg 560.00 🔼 562", "breakout", "long", "aggressive", "560.00", "562", "Agg"),
        (
            "🔻 Breakdown: Agg 561.70 🔻 560",
            "breakdown", "short", "aggressive", "561.70", "560", "Breakdown: Agg",
        ),
        (
            "🔼 Breakout Entry (Conservative) > 70.75 🔼 72.90",
            "breakout", "long", "conservative", "70.75", "72.90", "Breakout Entry Conservative",
        ),
        (
            "🔁 Rejection Short Reject Near 68.12 🔻 65",
            "rejection", "short", None, "68.12", "65", "Rejection Short Reject Near",
        ),
        ("Rejection Long Near 60 🔼 62", "rejection", "long", None, "60", "62", "Rejection Long Near"),
        (
            "Looking for breakdown below 525.5",
            "breakdown", "short", None, "525.5", "", "Looking for breakdown below",
        ),
        ("🔼 Breakout ~ .85 🔼 .9", "breakout", "long", None, ".85", ".9", "Breakout"),
    ],
)  # fmt: skip
def test_a_line_is_read_in_the_forms_writers_use(
    line: str, kind: str, direction: str, aggressiveness: str | None, level: str, targets: str, label: str
) -> None:
    """Missing words, other words for the same, other order: the same facts."""
    setup = read(line)
    assert (setup.kind, setup.direction, setup.aggressiveness, setup.label) == (
        kind,
        direction,
        aggressiveness,
        label,
    )
    assert (setup.low, setup.high) == (numbers(level)[0], numbers(level)[-1])
    assert setup.targets == numbers(targets)


@pytest.mark.parametrize(
    "targets",
    [
        "🔼 148.00, 150.50",
        "🔼148.00,150.50",
        "🔼 148.00 / 150.50",
        "🔼 148.00 150.50",
        "🔼 148.00 and 150.50",
        "🔼 148.00 🔼 150.50",
        "🔼 148.00 → 150.50",
        "🔼 $148.00, $150.50",
        "🔼 148.00, 150.50+",
        "🔼 148.00, 150.50.",
        "🔼 Target: 148.00, 150.50",
        "🔼 Targets = 148.00 | 150.50",
        "🎯 148.00, 150.50",
        "-> 148.00, 150.50",
        "⬆️ 148.00, 150.50",
        ":arrow_up_small: 148.00, 150.50",
        "(148.00, 150.50)",
        "(targets: 148.00, 150.50)",
        "[148.00; 150.50]",
        ", targets 148.00, 150.50",
        "- target 148.00, 150.50",
        "targeting 148.00, 150.50",
        "looking for 148.00, 150.50",
        "for 148.00, 150.50",
        "TP 148.00, 150.50",
        "TP1: 148.00 TP2: 150.50",
        "T1 148.00, T2 150.50",
        "PT: 148.00, 150.50",
        "Target 1: 148.00, Target 2: 150.50",
        "take profit 148.00 then 150.50",
        "🔼 148.00 (gap fill), 150.50",
        "🔼 148.00, 150.50 {edited}",
        "🔼 148.00, 150.50 if it holds",
        "with volume 🔼 148.00, 150.50",
        "🔼 148.00, 150.50 🚀🚀",
    ],
)
def test_targets_are_read_after_any_marker(targets: str) -> None:
    """Arrows, words, parentheses, any separator: the same two targets in the order written."""
    assert read(f"🔼 Breakout Above 146.20 {targets}").targets == numbers("148.00 150.50")


@pytest.mark.parametrize(
    "zone",
    [
        "Zone 138.50-139.00",
        "Zone 138.50–139.00",
        "Zone 138.50—139.00",
        "Zone 138.50 - 139.00",
        "Zone 138.50 to 139.00",
        "Zone: 139.00-138.50",
        "Zone = 138.50−139.00",
        "138.50-139.00",
        "at 138.50-139.00 range",
        "at 138.50 to 139.00 area",
        "between 138.50 and 139.00",
        "from 138.50 - 139.00 🔼 140.00",
        "$138.50-$139.00",
    ],
)
def test_a_zone_is_read_with_any_dash(zone: str) -> None:
    """Hyphen, en and em dash, minus sign, `to` and `between`; the lower end first."""
    setup = read(f"🔄 Bounce {zone}")
    assert (setup.low, setup.high) == numbers("138.50 139.00")


@pytest.mark.parametrize(
    ("line", "level", "targets"),
    [
        ("Breakout above 5,900 🔼 5,920, 5,950.25", "5900", "5920 5950.25"),
        ("Breakout above 104,500.00 🔼 106,000", "104500.00", "106000"),
        ("Breakout above 1,005 🔼 1,010,1,020", "1005", "1010 1020"),
    ],
)
def test_thousands_separators_are_no_list(line: str, level: str, targets: str) -> None:
    """A comma between groups of three digits belongs to the number where the sizes fit."""
    setup = read(line)
    assert (setup.low, setup.targets) == (Decimal(level), numbers(targets))


@pytest.mark.parametrize(
    "stop",
    [
        "SL 321",
        "SL: 321",
        "stop 321",
        "(stop above 321)",
        "stop-loss at 321",
        "Stop Loss = 321",
        "| stop @ 321",
    ],
)
def test_a_stop_is_not_taken_for_a_target(stop: str) -> None:
    """The stop level has its own place, before or after the targets."""
    for line in (f"Breakdown 319.38 🔻 317.10 {stop}", f"Breakdown 319.38 {stop} 🔻 317.10"):
        setup = read(line)
        assert (setup.targets, setup.stop) == ((Decimal("317.10"),), Decimal(321))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("❌ Rejection Levels 564.10, 562.85, 562.25", "562.85 after the level without a mark"),
        ("🔄 Bounce: 560.00, 558.50, 555.80", "558.50 after the level without a mark"),
        ("Breakout above 590 592 595", "592 after the level without a mark"),
        ("Breakdown below 590 - 588, 585", "585 after the level without a mark"),
        ("Breakout above 590 🔼 595; Breakdown below 580 🔻 575", "580 after the level without a mark"),
        ("Breakout above 590 🔼 595 unless 580 breaks", "580 after the level without a mark"),
        ("Breakdown below 590 - 588", "588 and 590, which may be a zone or a level and its target"),
        ("Breakdown 590-588", "may be a zone or a level and its target"),
        ("Bounce 589.10 - 590.40", "may be a zone or a level and its target"),
        ("Bounce from 138.5 to 142", "may be a zone or a level and its target"),
        ("Breakout above 590 🔼 592-595", "target from 592 on written as a range"),
        ("Breakout above 590 🔼 592 (595)", "second list of numbers"),
        ("Breakout above 185 Target 1 188", "a 1 that may count the targets or be one"),
        ("Breakout above 0.9 Target 1 1.1, Target 2 1.3", "a 1 that may count the targets or be one"),
        ("Breakout above 0.9 Targets: 1) 1.1 2) 1.3", "a 1 that may count the targets or be one"),
        ("Breakdown 319 🔻 317 SL 321 stop 322", "names two stops"),
        ("Breakdown 319 🔻 317 stop", "names a stop without its level"),
        ("Breakdown 319 🔻 317 stop tight 321", "names a stop without its level"),
    ],
)
def test_a_number_with_two_possible_meanings_is_refused(line: str, says: str) -> None:
    """No number is assigned that might have been meant otherwise."""
    assert says in refused(line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Breakdown 141,40 🔻 139,20", "'141,40', which cannot be read as a price"),
        ("Breakout 590C 🔼 595", "'590C', which cannot be read as a price"),
        ("Breakout 590 5m close 🔼 595", "'5m', which cannot be read"),
        ("Breakout 590 after 9:30 🔼 595", "'9:30', which cannot be read"),
        ("Breakout 590 🔼 2%, 3%", "'2%', which cannot be read"),
        ("Breakdown under 134.10 likely to test 130s", "'130s', which cannot be read"),
        ("Breakout 1.2.3 🔼 4", "'1.2.3', which cannot be read"),
        ("Breakout 1234567890 🔼 1234567891", "cannot be read as a price"),
        ("Breakout 0.123456789 🔼 0.2", "cannot be read as a price"),
        ("Breakout ٥٩٠ 🔼 595", "cannot be read as a price"),
        ("Breakout 590½ 🔼 595", "'590½', which cannot be read"),
        ("Breakout 590 🔼 595 T+½", "cannot be read|does not know"),
        ("Breakout 590 🔼 595 H4", "'h4', which the grammar does not know"),
        ("Breakdown 144 🔻 141,139,137", "too far from the level 144"),
        ("Breakout above 599.80 🔼 602.00, 60.55", "60.55 too far from the level"),
        ("Breakdown 319 🔻 317 SL 3.2", "3.2 too far from the level"),
        ("Bounce 138.50–80 🔼 142", "zone ends 80 and 138.50 too far apart"),
        ("Bounce zone 598.10-99 🔼 600", "too far apart"),
        ("Breakout above 0 🔼 1", "has a level of 0"),
    ],
)
def test_what_is_no_price_is_refused(line: str, says: str) -> None:
    """Times, percentages, strikes, decimal commas, slips of the pen and endless digits are not prices."""
    assert any(part in refused(line) for part in says.split("|"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Breakout short 590", "calls a breakout short"),
        ("Bounce short 590", "calls a bounce short"),
        ("Breakdown above 590 🔻 588", "a breakdown above its level"),
        ("Breakout < 590", "a breakout below its level"),
        ("Breakout above 146.20 🔻 148", "an arrow against its direction, long"),
        ("Rejection near 140 🔼 142", "an arrow against its direction, short"),
        ("Breakout/Breakdown 590", "says two things at once"),
        ("Long short above 590", "says two things at once"),
        ("Aggressive conservative breakout 590", "says two things at once"),
        ("Breakout above or below 590", "'or' before the level"),
        ("Long above under 590", "says two things at once"),
        ("Breakout 🔼 590, 595", "an arrow where the level should be"),
        ("Breakout targets 590", "no level before them"),
        ("🔻 319.38 🔻 317.10", "names no kind of setup"),
        ("Short near 590 🔻 588", "names no kind of setup"),
        ("Aggressive 590 🔻 588", "names no kind of setup"),
        ("Failed breakout 590 🔻 588", "'failed' before the level"),
        ("No breakout above 590 🔼 595", "'no' before the level"),
        ("590 breakout 🔼 595", "names no kind of setup"),
        ("Breakout above ABC", "names no level"),
        ("❌ Rejection Near x.xx", "names no level"),
        ("Breakout above 590 with volume", "goes on after the level with 'with volume'"),
        ("Rejection at 480, careful above this level", "goes on after the level with 'careful above this"),
        ("Breakout above 590 🔼 595 cancelled", "is withdrawn: 'cancelled'"),
    ],
)
def test_contradictions_and_unknown_words_are_refused(line: str, says: str) -> None:
    """Words, arrows and sides must agree, and no word before the level may be unknown."""
    assert says in refused(line)


def test_a_note_in_parentheses_is_no_obstacle() -> None:
    """`(scalp)` after the level changes nothing, with or without targets."""
    assert read("Breakout above 590 (scalp)").targets == ()
    assert read("Breakout above 590 (scalp) 🔼 595").targets == (Decimal(595),)
    assert read("Breakout above 590) 🔼 595").targets == (Decimal(595),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Targets: 317.10, 314.40", Details((Decimal("317.10"), Decimal("314.40")), None)),
        ("🔻 Target 1: 317.10", Details((Decimal("317.10"),), None)),
        ("TP1 317 TP2 314 SL 321", Details((Decimal(317), Decimal(314)), Decimal(321))),
        ("Stop: 321", Details((), Decimal(321))),
        ("Targets:", Refusal("names no price")),
        ("🔼 Targets: 317", Refusal("has an arrow against its direction, short")),
        ("Breakdown 319 target 317", None),
        ("317 target", None),
        ("watch volume", None),
        ("", None),
    ],
)
def test_a_line_of_targets_or_a_stop_is_read_by_itself(line: str, expected: Details | Refusal | None) -> None:
    """Only a line that begins with the word for it adds to the setup above."""
    assert read_details(clean(line), "short") == expected
