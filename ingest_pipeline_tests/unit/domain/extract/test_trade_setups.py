"""A trade-setups message is read line by line, every line into exactly one place."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.setups.headings import is_blank, is_divider, take_apart
from ingest_pipeline.domain.extract.setups.tokens import clean, is_mention
from ingest_pipeline.domain.extract.setups.trade_setups import (
    SetupMessage,
    TradeSetup,
    parse_setups,
)
from ingest_pipeline.errors import BadInput
from ingest_pipeline_tests.thoroughness import examples

POSTED = datetime(2025, 5, 29, 12, 15, tzinfo=UTC)
DAY = date(2025, 5, 29)
PLAN = """A+ Scalp Trade Setups — Thu May 29

NVDA
❌ Rejection Short Near 144.00 🔻 141.40, 139.20, 137.60
🔻 Aggressive Breakdown Below 141.33 🔻 139.90, 138.40
🔼 Conservative Breakout Above 146.20 🔼 148.00, 150.50
🔄 Bounce Zone 138.50–139.00 🔼 142.00, 143.80
⚠️ Bias — bearish into open — only bullish above 146.20

1) SPY
🔻 Breakdown 590.38 🔻 588.10
⚠️ Bias: watching the 592 zone
— retest is more likely
@everyone"""


def parse(content: str) -> SetupMessage:
    """Parse a message posted on the day of the plan."""
    return parse_setups(content, POSTED)


def places(message: SetupMessage) -> Counter[int]:
    """Count in how many places each line number stands."""
    parts: tuple[Any, ...] = (*message.headers, *message.setups, *message.biases)
    numbers = [part.line_number for part in (*parts, *message.ticker_lines, *message.unparsed)]
    return Counter(
        [*numbers, *message.kind_lines, *(number for part in parts for number in part.continued_on)]
    )


def says(line: str) -> bool:
    """Return whether a line is more than a rule, a fence, mentions, bullets and markup."""
    if is_divider(line) or is_blank(line) or is_mention(line):
        return False
    return bool(take_apart(clean(line)).with_symbols)


def facts(setup: TradeSetup) -> tuple[object, ...]:
    """Return what a setup says, without where it stands."""
    return (
        setup.ticker,
        setup.trading_day,
        setup.kind,
        setup.direction,
        setup.aggressiveness,
        (setup.low, setup.high),
        setup.targets,
        setup.stop,
        setup.label,
    )


def reasons(message: SetupMessage) -> dict[int, str]:
    """Return the reason of every unparsed line."""
    return {line.line_number: line.reason for line in message.unparsed}


def test_a_whole_plan_is_read() -> None:
    """Header, tickers, setups and biases of a usual message, with their lines."""
    message = parse(PLAN)
    assert (message.trading_day, message.day_problem) == (DAY, None)
    assert message.tickers == ("NVDA", "SPY")
    assert [(line.ticker, line.line_number) for line in message.ticker_lines] == [("NVDA", 3), ("SPY", 10)]
    assert [(setup.line_number, setup.kind) for setup in message.setups] == [
        (4, "rejection"),
        (5, "breakdown"),
        (6, "breakout"),
        (7, "bounce"),
        (11, "breakdown"),
    ]
    assert [(bias.ticker, bias.stance, bias.line_number) for bias in message.biases] == [
        ("NVDA", "bearish", 8),
        ("SPY", None, 12),
    ]
    assert message.biases[1].text == "watching the 592 zone — retest is more likely"
    assert message.biases[1].continued_on == (13,)
    assert reasons(message) == {}


def test_a_setup_carries_everything_a_row_needs() -> None:
    """A level and a zone, exact decimals, and the trading day."""
    _, breakdown, _, bounce, _ = parse(PLAN).setups
    assert breakdown == TradeSetup(
        ticker="NVDA",
        trading_day=DAY,
        kind="breakdown",
        direction="short",
        aggressiveness="aggressive",
        trigger=Decimal("141.33"),
        zone_low=None,
        zone_high=None,
        targets=(Decimal("139.90"), Decimal("138.40")),
        stop=None,
        label="Aggressive Breakdown Below",
        line_number=5,
    )
    assert (bounce.trigger, bounce.zone_low, bounce.zone_high) == (None, Decimal("138.50"), Decimal("139.00"))
    assert (bounce.low, bounce.high) == (Decimal("138.50"), Decimal("139.00"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\ufe0f", ""),
        lambda text: re.sub("([🔻🔼❌🔄])", "\\1\ufe0f", text),
        lambda text: text.replace(" ", "\u00a0"),
        lambda text: re.sub("(?m)^(.+)$", r"**\1**", text),
        lambda text: re.sub("(?m)^(.+)$", r"> \1", text),
        lambda text: re.sub("(?m)^", "   ", text),
        lambda text: text.replace("🔻", ":small_red_triangle_down:").replace("⚠️", ":warning:"),
        lambda text: text.replace("SPY", "SPY:").replace("NVDA", "**NVDA**"),
        lambda text: text.replace("1) SPY", "$SPY").replace("NVDA", "✅ NVDA 🔥"),
        lambda text: text.replace("1) SPY", "1️⃣ SPY —").replace("NVDA", "## NVDA (0DTE)"),
        lambda text: text.replace("1) SPY", "SPY 589.95").replace("NVDA", "2. nvda".upper()),
        lambda text: text.replace("Thu May 29", "May 29, 2025"),
        lambda text: text.replace("— Thu May 29", "(5/29)"),
        lambda text: text.replace("Scalp Trade Setups", "setups"),
        lambda text: text.replace("–", " - "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("🔻 139.90, 138.40", "(139.90, 138.40)"),
        lambda text: text.replace("🔻 139.90, 138.40", "\nTargets: 139.90, 138.40"),
        lambda text: text.replace("🔻 139.90, 138.40", "\nTP1: 139.90\nTP2: 138.40"),
        lambda text: text.replace("NVDA\n❌", "NVDA ❌"),
        lambda text: text.replace("1) SPY\n🔻", "1) SPY: 🔻"),
    ],
)
def test_the_same_plan_in_another_form_means_the_same(change: object) -> None:
    """Line ends, markup, emoji variants, other spellings: the same setups."""
    assert callable(change)
    changed = change(PLAN)
    assert changed != PLAN
    assert [facts(setup) for setup in parse(changed).setups] == [facts(setup) for setup in parse(PLAN).setups]


@pytest.mark.parametrize(
    ("line", "ticker"),
    [
        ("SPY", "SPY"),
        ("$spy", "SPY"),
        ("BRK.B", "BRK.B"),
        ("BTC/USD:", "BTC/USD"),
        ("BTCUSDT", "BTCUSDT"),
        ("/ES", "ES"),
        ("F", "F"),
        ("$OPEN", "OPEN"),
        ("SPX 5,905.25", "SPX"),
        ("QQQ levels", "QQQ"),
        ("NAS100", "NAS100"),
    ],
)
def test_a_ticker_line_opens_its_section(line: str, ticker: str) -> None:
    """Shares, pairs, futures and cashtags; a price or note beside it is no obstacle."""
    message = parse(f"{line}\n🔼 Breakout 590 🔼 595")
    assert [setup.ticker for setup in message.setups] == [ticker]


@pytest.mark.parametrize(
    "line",
    [
        *("Tesla", "2) Oil", "spy", "SPY/QQQ", "SPY & QQQ", "OPEN", "LOL", "-----", "~~QQQ~~"),
        *("2) tesla - breakout 290", "Tesla breakout 290"),
    ],
)
def test_a_heading_that_is_no_ticker_ends_the_section(line: str) -> None:
    """What follows is not given to the ticker before: a wrong ticker is worse than none."""
    message = parse(f"SPY\n🔼 Breakout 590 🔼 595\n{line}\n🔼 Breakout 600 🔼 605")
    assert [setup.low for setup in message.setups] == [Decimal(590)]
    assert reasons(message)[4] == "stands under no ticker"


@pytest.mark.parametrize(
    "line",
    [
        *("", "levels:", "Scalp setups:", "note: FOMC", "🔥🔥", "@everyone", "Resistance: 600", "```"),
        *("please wait for volume today", "Breakout failed", "~~Breakout 595 🔼 598~~"),
    ],
)
def test_a_remark_does_not_end_the_section(line: str) -> None:
    """Sub-headings, remarks, mentions and refused setups leave the ticker in effect."""
    message = parse(f"SPY\n🔼 Breakout 590 🔼 595\n{line}\n🔼 Breakout 600 🔼 605")
    assert [setup.ticker for setup in message.setups] == ["SPY", "SPY"]


def test_a_rule_under_a_ticker_underlines_it() -> None:
    """Only elsewhere does a rule of dashes end a section."""
    assert [setup.ticker for setup in parse("SPY\n-----\n🔼 Breakout 590 🔼 595").setups] == ["SPY"]


@pytest.mark.parametrize(
    "line",
    [
        "1) SPY: Breakout 590 🔼 595",
        "SPY - Breakout 590 🔼 595",
        "SPY | Breakout 590 🔼 595",
        "SPY Breakout 590 🔼 595",
        "SPY 🔼 Breakout 590 🔼 595",
        "SPY🔼 Breakout 590 🔼 595",
        "🔼 SPY: Breakout 590 🔼 595",
        "$spy breakout 590 🔼 595",
        "- **SPY** long over 590 🔼 595",
    ],
)
def test_a_line_may_begin_with_its_ticker(line: str) -> None:
    """The ticker holds for the lines below as well."""
    message = parse(f"NVDA\n{line}\n🔻 Breakdown 580 🔻 575")
    assert [(setup.ticker, setup.low) for setup in message.setups] == [
        ("SPY", Decimal(590)),
        ("SPY", Decimal(580)),
    ]
    assert message.tickers == ("NVDA", "SPY")


def test_targets_below_belong_to_the_setup_right_above_only() -> None:
    """Where several setups lack targets, or something stands between, nothing is attached."""
    message = parse(
        "SPY\nBreakdown 590\nStop: 592\nTP1 588\n\nTP2 585\nBreakout 595\nTargets: 597\nTargets 598"
    )
    first, second = message.setups
    assert (first.targets, first.stop, first.continued_on) == (
        (Decimal(588), Decimal(585)),
        Decimal(592),
        (3, 4, 6),
    )
    assert (second.targets, second.continued_on) == ((Decimal(597), Decimal(598)), (8, 9))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("Breakdown 590\nBreakout 595\nTargets: 588, 585", "may belong to several setups"),
        ("Breakdown 590\nwatch volume\nTargets: 588", "no setup right above it"),
        ("Targets: 588", "no setup right above it"),
        ("Breakdown 590 🔻 588\nTargets: 585", "repeats what the setup above it has"),
        ("Breakdown 590 SL 592\nSL 593", "repeats what the setup above it has"),
        ("Breakdown 590\nTargets: 58", "58 too far from the level 590"),
        ("Breakdown 590\nTargets:", "names no price"),
        ("Breakdown 590\n🔼 Targets: 588", "an arrow against its direction"),
        ("Breakdown 590\nQQQ: Targets: 588", "no setup right above it"),
    ],
)
def test_targets_of_uncertain_origin_stay_unparsed(lines: str, says: str) -> None:
    """The line is kept with its reason and the setups stay as they were."""
    message = parse(f"SPY\n{lines}")
    assert says in message.unparsed[-1].reason
    assert message.unparsed[-1].text == lines.rsplit("\n", 1)[-1]


def test_a_heading_holds_for_the_lines_below_it() -> None:
    """Until another heading, ticker, remark or bias; it is unparsed if nothing stands below it."""
    message = parse("SPY\nBreakdown\nBelow 590 🔻 588\n\nAgg 585 🔻 583\nBias: up\n580 🔻 578\nBreakout")
    assert [(setup.kind, setup.low, setup.label) for setup in message.setups] == [
        ("breakdown", Decimal(590), "Breakdown Below"),
        ("breakdown", Decimal(585), "Breakdown Agg"),
    ]
    assert message.kind_lines == (2,)
    assert reasons(message) == {7: "is no header, ticker, setup or bias", 8: "names no level"}
    for between in ("QQQ", "so be careful out there my friends", "-----", "⚠️ wait", "Rejection 595 🔻 593"):
        found = parse(f"SPY\nBreakdown\n{between}\n590 🔻 588")
        assert Decimal(590) not in [setup.low for setup in found.setups], between


def test_a_crossed_heading_crosses_out_what_is_below() -> None:
    """Unless it is one of rejections, which a cross leads anyway."""
    assert parse("SPY\n❌ Breakout\nAbove 590 🔼 595").setups == ()
    assert [setup.low for setup in parse("SPY\n❌ Rejection\n595 🔻 590").setups] == [Decimal(595)]


@pytest.mark.parametrize(
    "lines",
    [
        *("Breakdown 590\n🔻 588, 592", "Breakdown 590\n🔼 588", "Breakdown 590\n🔻 588 🔻 586", "🔻 588"),
        *(
            "Breakdown 590 🔻 588\n🔻 586",
            "Breakdown 590\n588, 586",
            "Breakdown\n590",
            "Rejection\nAbove 590 🔻 588",
        ),
        *("Breakdown 590\nwatch volume\n🔻 588", "Breakdown 590\nTargets:\nwatch\n588"),
    ],
)
def test_a_line_of_numbers_is_not_attached_where_it_may_mean_something_else(lines: str) -> None:
    """An arrow adds to the setup right above, which has no targets yet; numbers only below their word."""
    message = parse(f"SPY\n{lines}")
    assert message.unparsed[-1].text == lines.rsplit("\n", 1)[-1]
    assert all(len(setup.targets) <= 1 for setup in message.setups)


def test_only_a_line_feed_ends_a_line() -> None:
    """Discord shows the other separators of lines inside the line, and so are lines counted."""
    message = parse("SPY\u2028\x0b\x85\x1c\r\n\nBreakout\u2028590 🔼 595")
    assert [(setup.low, setup.line_number) for setup in message.setups] == [(Decimal(590), 3)]


@pytest.mark.parametrize(
    "line", ["-----", "——", "━━━", "@everyone", "<@&12> @here", "||@here||", "```", "```md", "_ _", ">"]
)
def test_what_means_nothing_is_no_unparsed_line(line: str) -> None:
    """Rules, mentions, fences and empty quotes are dropped; a mention among words is not."""
    assert parse(f"SPY\n{line}\nBreakout 590 🔼 595").unparsed == ()
    assert len(parse(f"SPY\n{line} ask @Ann for more of it\nBreakout 590 🔼 595").unparsed) == 1


def test_a_sign_before_a_number_makes_it_no_target() -> None:
    """A stop sign makes it the stop; a cross or an emoji of the server may mean anything."""
    message = parse(
        "SPY\nBreakout 590 🔼 595 🛑 588\nBreakdown 580 🔻 578\n🛑 581\n"
        "Breakout 600 🔼 605 <:sl:123456789012345678> 598"
    )
    assert [(setup.targets, setup.stop) for setup in message.setups] == [
        ((Decimal(595),), Decimal(588)),
        ((Decimal(578),), Decimal(581)),
    ]
    assert "598 after the level without a mark" in reasons(message)[5]


def test_a_cross_withdraws_what_is_no_rejection() -> None:
    """The cross that leads a rejection crosses any other setup out."""
    message = parse("SPY\n❌ Rejection 595 🔻 590\n❌ Breakout 600 🔼 605\n✅ Breakdown 585 🔻 580")
    assert [setup.kind for setup in message.setups] == ["rejection", "breakdown"]
    assert reasons(message) == {3: "is crossed out by its emoji, being no rejection but a breakout"}


def test_a_target_on_the_wrong_side_is_recorded_and_marked() -> None:
    """Numbers stay as written; the slip shows."""
    long, short = parse("SPY\nBreakout 590 🔼 595, 585\nRejection 592-593 🔻 590, 594").setups
    assert (long.targets, long.suspect_targets) == ((Decimal(595), Decimal(585)), (Decimal(585),))
    assert short.suspect_targets == (Decimal(594),)


@pytest.mark.parametrize(
    ("header", "day", "problem"),
    [
        ("A+ Scalp Trade Setups. — Thu May 29", DAY, None),
        ("Today's A+ Setups (May 29)", DAY, None),
        ("Trade set-ups for May 29:", DAY, None),
        ("📌 A+ Trade Setups — Thu May 29 (Scalps)", DAY, None),
        ("Setups 5/29", DAY, None),
        ("A+ Trade Setups\nThu May 29", DAY, None),
        ("Thu May 29", DAY, None),
        ("A+ Trade Setups", None, "names no date"),
        (
            "A+ Trade Setups\nFri May 29",
            None,
            "the weekday contradicts 'May 29', which is Thursday 2025-05-29",
        ),
        (
            "A+ Trade Setups — Fri May 29",
            None,
            "the weekday contradicts 'May 29', which is Thursday 2025-05-29",
        ),
        ("good morning", None, "has no header"),
        ("trade setups will be late today", None, "has no header"),
        ("the setups below are no advice", None, "has no header"),
        ("Setups", None, "has no header"),
    ],
)
def test_the_header_gives_the_day_or_the_reason_why_there_is_none(
    header: str, day: date | None, problem: str | None
) -> None:
    """Every setup carries the day of its header; none is made up."""
    message = parse(f"{header}\n\nSPY\nBreakout 590 🔼 595")
    assert (message.trading_day, message.day_problem) == (day, problem)
    assert [setup.trading_day for setup in message.setups] == [day]


def test_a_second_header_begins_a_second_day() -> None:
    """Setups of two days in one message keep their own day, and no ticker reaches over a header."""
    message = parse(f"{PLAN}\nA+ Setups — Fri May 30\nBreakout 595\nQQQ\nBreakout 480 🔼 485")
    assert message.setups[-1].trading_day == date(2025, 5, 30)
    assert [header.trading_day for header in message.headers] == [DAY, date(2025, 5, 30)]
    assert reasons(message)[16] == "stands under no ticker"


def test_the_date_is_completed_by_the_time_of_posting_in_utc() -> None:
    """The year comes from the posting, whose zone does not matter."""
    late = datetime(2025, 12, 31, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert parse_setups("A+ Setups — Fri Jan 2", late).trading_day == date(2026, 1, 2)


def test_a_naive_time_of_posting_is_refused() -> None:
    """A time without zone could be any day."""
    with pytest.raises(BadInput, match=r"2025-05-29T12:15:00 has no time zone"):
        parse_setups(PLAN, POSTED.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("line", "text", "stance"),
    [
        ("⚠️ Bias — bearish into open — only bullish above 146.20", None, "bearish"),
        ("⚠️ Bearish bias under 368.11 with bounce at 354.30", None, "bearish"),
        ("⚠️Bullish momentum above 583 — bias flips bearish only if 579 breaks", None, "bullish"),
        ("Bias: Leaning bearish under 135.95", "Leaning bearish under 135.95", "bearish"),
        ("Leaning bullish", None, "bullish"),
        ("Bias bullish while holding above 584.50", "bullish while holding above 584.50", "bullish"),
        ("- Bias is neutral", "neutral", "neutral"),
        ("Bias: choppy, wait for CPI", "choppy, wait for CPI", "neutral"),
        ("Bias: long above 590", "long above 590", "bullish"),
        ("Short bias", "Short bias", "bearish"),
        ("Bias: short-term bullish", "short-term bullish", "bullish"),
        ("Bullish above 600, bearish below 590", None, None),
        ("Bias: above 600 bullish, below 590 bearish", None, None),
        ("Bias: bullish or bearish?", None, None),
        ("Bias: not bullish", None, None),
        ("Bias: isn’t bearish", None, None),
        ("Bias: only bullish above 600", None, None),
        ("Bias: chop until CPI, then bullish", None, None),
        ("⚠️ Up move continues above 602.55", None, None),
        ("SPY bias: bullish", "bullish", "bullish"),
        ("SPY bullish above 590", "bullish above 590", "bullish"),
    ],
)  # fmt: skip
def test_a_bias_is_kept_whole_and_its_stance_read_where_it_is_plain(
    line: str, text: str | None, stance: str | None
) -> None:
    """Conditions and alternatives are no stance."""
    message = parse(f"SPY\n{line}")
    assert [(bias.ticker, bias.stance) for bias in message.biases] == [("SPY", stance)]
    if text is not None:
        assert message.biases[0].text == text


def test_a_bias_of_the_market_belongs_to_no_ticker() -> None:
    """So does one above all tickers."""
    message = parse("⚠️ Neutral until CPI\nSPY\nOverall bias: bullish")
    assert [(bias.ticker, bias.text) for bias in message.biases] == [
        (None, "Neutral until CPI"),
        (None, "bullish"),
    ]


def test_a_bias_goes_on_below_its_heading_or_after_a_long_dash() -> None:
    """A list with hyphens is no continuation, nor is a setup."""
    message = parse(
        "SPY\n⚠️ Bias:\nbearish into open\n— Breakdown under 590 tests 580s\n- Breakdown 590 🔻 588\nmore"
    )
    assert [(bias.text, bias.stance, bias.continued_on) for bias in message.biases] == [
        ("bearish into open — Breakdown under 590 tests 580s", "bearish", (3, 4))
    ]
    assert [setup.line_number for setup in message.setups] == [5]
    message = parse("SPY\n⚠️ Bias:\nBreakdown 590 🔻 588")
    assert [setup.line_number for setup in message.setups] == [3]


def test_a_message_that_plans_nothing_is_kept_as_unparsed_lines() -> None:
    """Chat is not mistaken for a plan, and nothing of it is dropped."""
    message = parse("Good morning everyone!\n\nLong day ahead, 3 meetings")
    assert (message.setups, message.biases, message.headers, message.tickers) == ((), (), (), ())
    assert [line.text for line in message.unparsed] == [
        "Good morning everyone!",
        "Long day ahead, 3 meetings",
    ]
    assert parse("") == SetupMessage((), (), (), (), ())


VOCABULARY = """
    Aggressive Conservative Con Breakout Breakdown Rejection Bounce Long Short Above Below Near From Zone
    Target Targets: TP1: SL stop and to for with volume (scalp) Bias bullish bearish not SPY NVDA: $tsla
    A+ Trade Setups May Thu May 29 🔻 🔼 ❌ 🔄 ⚠️ 🎯 → - – — : , ( ) / @everyone ~~ ----- 1) 2. ** >
    cancelled range support
"""
MARKERS = [
    *(
        "🔼",
        "🔻",
        "🎯",
        "→",
        "(",
        "( target",
        ", targets",
        "Target 1:",
        "TP1",
        "T1",
        "for",
        "SL",
        "stop at",
        "(stop",
    ),
    *(
        "",
        ",",
        "-",
        "to",
        "and",
        "zone",
        "range 🔼",
        "with volume 🔻",
        "Breakdown",
        "then",
        ") 🔼",
        "Targets: 1)",
    ),
]
prices = st.decimals(Decimal(1), Decimal(9999), places=2).map(str) | st.integers(1, 9999).map("{:,}".format)
near_prices = st.decimals(Decimal(585), Decimal(595), places=2).map(str) | st.integers(585, 595).map(str)
scraps = st.lists(st.sampled_from(VOCABULARY.split()) | near_prices | prices, max_size=10).map(" ".join)
phrases = st.tuples(
    st.sampled_from(["", "", "🔼", "🔻", "❌", "- ", "1) ", "SPY: "]),
    st.sampled_from(["", "", "Aggressive", "Con", "Looking for"]),
    st.sampled_from(
        ["Breakout", "Breakdown", "Rejection", "Bounce", "Rejection Short", "Long Over", "Bounce Zone"]
    ),
    st.sampled_from(["", "", "above", "below", "near", "from", ":", "="]),
).map(" ".join)
price_lists = st.lists(near_prices, min_size=1, max_size=3).flatmap(
    lambda found: st.sampled_from([", ", " / ", " ", "-", " - ", ",", ") "]).map(
        lambda between: between.join(found)
    )
)
tails = st.lists(st.tuples(st.sampled_from(MARKERS), price_lists | st.just("")).map(" ".join), max_size=3)
setup_lines = st.tuples(phrases, price_lists, tails.map(" ".join)).map(" ".join)
lines = (
    setup_lines
    | setup_lines
    | tails.map(" ".join)
    | scraps
    | st.text(max_size=30)
    | st.sampled_from(PLAN.splitlines())
)
plans = st.lists(lines, max_size=10).map(lambda found: "\n".join(["SPY", *found]))
NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+")


def written(text: str) -> Counter[Decimal]:
    """Return every number that stands in a text."""
    return Counter(Decimal(number.replace(",", "")) for number in NUMBER.findall(text))


@given(st.text() | plans)
@example("\x0c\x1c1\x85🔼")
@settings(max_examples=examples(60))
def test_every_line_of_any_text_ends_up_in_exactly_one_place(content: str) -> None:
    """No text fails; no line that says something is dropped or counted twice."""
    expected = {number for number, line in enumerate(content.split("\n"), start=1) if says(line.strip())}
    assert places(parse(content)) == Counter(expected)


@given(plans)
@settings(max_examples=examples(60))
def test_no_number_is_made_up_and_none_of_a_setup_line_is_lost(content: str) -> None:
    """A setup's level, targets and stop are exactly the numbers of its lines, but for list numbering."""
    source = dict(enumerate(content.split("\n"), start=1))
    for setup in parse(content).setups:
        text = "\n".join(source[number] for number in (setup.line_number, *setup.continued_on))
        ends = [setup.trigger] if setup.trigger is not None else [setup.zone_low, setup.zone_high]
        assigned = Counter([*ends, *setup.targets, *([] if setup.stop is None else [setup.stop])])
        left = written(re.sub(r"TP1|\b1\)|\b2\.(?=\s)", " ", text))
        assert assigned <= written(text)
        assert set(left) - set(assigned) <= {Decimal(1), Decimal(2)}


@given(st.sampled_from(["breakout", "rejection"]), near_prices, st.lists(near_prices, max_size=4))
def test_a_written_setup_is_read_back(kind: str, level: str, targets: list[str]) -> None:
    """What a writer puts down in the usual form comes back number for number."""
    arrow = "🔼" if kind == "breakout" else "🔻"
    line = f"{kind.title()} Near {level} " + (f"{arrow} {', '.join(targets)}" if targets else "")
    (setup,) = parse(f"SPY\n{line}").setups
    assert (setup.kind, str(setup.trigger)) == (kind, level)
    assert [str(target) for target in setup.targets] == targets


@pytest.mark.parametrize("level", ["14*4", "14`4`", "137.`60", "144*.5*", "14__4__"])
def test_a_number_that_markup_breaks_is_no_price(level: str) -> None:
    """It may as well be two; around a whole number markup is only markup."""
    message = parse(
        f"NVDA\nRejection Near 144 🔻 141.40, {level}\nRejection Near **144** 🔻 `141.40`,`139.20`"
    )
    assert "which cannot be read as a price" in reasons(message)[2]
    assert [setup.targets for setup in message.setups] == [(Decimal("141.40"), Decimal("139.20"))]
