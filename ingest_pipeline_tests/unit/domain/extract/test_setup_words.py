"""Every word and sign of the trade-setups grammar does what it stands for, one after the other."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ingest_pipeline.domain.extract.setups.bias import bias_text, concerns_market, is_bias, read_stance
from ingest_pipeline.domain.extract.setups.dates import DayReading, read_day
from ingest_pipeline.domain.extract.setups.grammar import SetupLine, read_setup
from ingest_pipeline.domain.extract.setups.headings import (
    ends_section,
    is_date_line,
    is_divider,
    is_header,
    looks_like_setup,
    may_begin_with_ticker,
    take_apart,
    ticker_alone,
    ticker_prefix,
)
from ingest_pipeline.domain.extract.setups.message import may_plan_trades, plans_trades
from ingest_pipeline.domain.extract.setups.tail import Refusal
from ingest_pipeline.domain.extract.setups.tokens import EMOJI, clean, is_symbol, is_target_word, tokenize
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups

POSTED = datetime(2026, 5, 15, 12, 30, tzinfo=UTC)


def setup(text: str) -> SetupLine:
    """Read a line that is a setup."""
    read = read_setup(clean(text))
    assert isinstance(read, SetupLine), (text, read)
    return read


def refusal(text: str) -> str:
    """Read a line that is not one, and return why."""
    read = read_setup(clean(text))
    assert isinstance(read, Refusal), (text, read)
    return read.reason


def test_every_word_for_a_kind() -> None:
    """With the direction that goes with it."""
    words = {
        ("breakout", "long"): [
            "breakout",
            "breakouts",
            "break out",
            "break-out",
            "Breaking out",
            "breaks outs",
        ],
        ("breakdown", "short"): ["breakdown", "breakdowns", "break down", "break-down", "Breaking down"],
        ("rejection", "short"): ["rejection", "rejections", "reject", "rejects", "rejecting"],
        ("bounce", "long"): ["bounce", "bounces", "bouncing"],
    }
    for expected, each in words.items():
        for word in each:
            read = setup(f"{word} 100")
            assert (read.kind, read.direction) == expected
            assert looks_like_setup(take_apart(word))
    assert looks_like_setup(take_apart("\U0001f53c 100"))
    assert looks_like_setup(take_apart("\U0001f53b 100"))
    assert not looks_like_setup(take_apart("\u2192 100"))


def test_every_word_for_a_direction_and_a_side() -> None:
    """`Long over` is a breakout, `short under` a breakdown; `near` is neither."""
    for word in ("long", "longs"):
        for side in ("above", "over", ">"):
            assert setup(f"{word} {side} 100").kind == "breakout"
    for word in ("short", "shorts"):
        for side in ("below", "under", "beneath", "<"):
            assert setup(f"{word} {side} 100").kind == "breakdown"
    for side in ("near", "at", "from", "off", "around", "~", "@", "\u2248"):
        assert setup(f"bounce {side} 100").low == 100
        assert refusal(f"long {side} 100") == "names no kind of setup"
    assert refusal("breakout below 100") == "has a breakout below its level"
    assert refusal("breakdown above 100") == "has a breakdown above its level"
    assert refusal("long breakdown 100") == "calls a breakdown long"
    assert refusal("short breakout 100") == "calls a breakout short"
    assert refusal("short bounce 100") == "calls a bounce short"
    assert setup("long rejection 100").direction == "long"
    assert refusal("breakout above below 100") == "says two things at once about one level"


def test_every_word_for_how_aggressive() -> None:
    """In full and short; with an arrow alone it names the kind too."""
    for degree, words in {
        "aggressive": ["aggressive", "aggr", "agg"],
        "conservative": ["conservative", "conserv", "cons", "con"],
    }.items():
        for word in words:
            assert setup(f"{word} breakout 100").aggressiveness == degree
            assert setup(f"\U0001f53c {word} 100").kind == "breakout"
            assert setup(f"\U0001f53b {word} 100").kind == "breakdown"
    assert refusal("long con 100") == "names no kind of setup"
    assert setup("breakout 100").aggressiveness is None


def test_every_word_that_means_nothing_and_every_one_for_a_zone() -> None:
    """Fillers are passed over; with a word for a zone two numbers are one."""
    fillers = (
        *("entry", "entries", "trigger", "setup", "trade", "scalp", "level", "levels", "price", "key", "a"),
        *("strong", "potential", "possible", "support", "resistance", "looking for", "watch", "for", "if"),
        *("on", "of", "the"),
    )
    for word in fillers:
        assert setup(f"breakout {word} 100").low == 100
    for word in ("zone", "range", "area", "between"):
        read = setup(f"breakout {word} 100 - 101")
        assert (read.low, read.high) == prices(100, 101)
        assert setup(f"breakout 100 - 101 {'zone' if word == 'between' else word}").high == 101
    for joint in ("to", "through", "thru"):
        assert setup(f"bounce zone 100 {joint} 101").high == 101
    assert setup("bounce between 100 and 101").high == 101
    assert refusal("breakout 100 - 101").startswith("has 100 and 101, which may be")
    assert "'tomorrow'" in refusal("breakout tomorrow 100")


def prices(*values: int) -> tuple[Decimal, ...]:
    """Return prices."""
    return tuple(map(Decimal, values))


def test_every_word_for_targets_and_stops() -> None:
    """With and without a number of their own; and what may stand between targets."""
    words = ("target", "targets", "tgt", "tgts", "tp", "tps", "pt", "pts", "t", "take profit", "take-profits")
    for word in (*words, "TP1", "T2", "takeprofit3"):
        assert setup(f"breakout 100 {word} 105, 110").targets == prices(105, 110)
    assert all(map(is_target_word, ("Target", "TP1", "pt", "Tgts", "t9")))
    assert not any(map(is_target_word, ("tea", "tp12", "targeted")))
    for word in ("targeting", "looking for", "for"):
        assert setup(f"breakout 100 {word} 105").targets == prices(105)
    for word in ("and", "then"):
        assert setup(f"breakout 100 target 105 {word} 110").targets == prices(105, 110)
    for word in ("stop", "stops", "sl", "stoploss", "stop loss", "stop-loss"):
        for between in ("", ":", " below", " @"):
            assert setup(f"breakout 100 target 105 {word}{between} 95").stop == 95
    assert refusal("breakout 100 stop 95 stop 94") == "names two stops"
    assert refusal("breakout 100 stop") == "names a stop without its level"
    assert refusal("target breakout 100") == "names targets or a stop but no level before them"


@pytest.mark.parametrize(
    "word",
    ["cancel", "cancelled", "canceled", "void", "voided", "invalid", "invalidated", "ignore", "skip"],
)
def test_every_word_that_withdraws_a_setup(word: str) -> None:
    """It is no setup any more."""
    assert refusal(f"breakout 100 target 105 {word}") == f"is withdrawn: {word!r}"


def test_every_sign_and_shortcode() -> None:
    """Arrows up and down, onward, and Discord's names of them."""
    up = "\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u23eb\u25b2\u25b3"
    down = "\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u23ec\u25bc\u25bd"
    for sign in up:
        assert setup(f"breakout 100 {sign} 105").targets == prices(105)
        assert refusal(f"breakdown 100 {sign} 95") == "has an arrow against its direction, short"
    for sign in down:
        assert setup(f"breakdown 100 {sign} 95").targets == prices(95)
        assert refusal(f"breakout 100 {sign} 105") == "has an arrow against its direction, long"
    for sign in ("->", "=>", "-->", ">>", *"\u2192\u27f6\u2794\u279c\u27a1\u25b6\u25b8\U0001f3af"):
        assert setup(f"breakout 100 {sign} 105").targets == prices(105)
    for name, sign in {
        "x": "\u274c",
        "small_red_triangle_down": "\U0001f53b",
        "small_red_triangle": "\U0001f53a",
        "arrow_up_small": "\U0001f53c",
        "arrow_down_small": "\U0001f53d",
        "arrow_up": "\u2b06",
        "arrow_down": "\u2b07",
        "arrow_right": "\u27a1",
        "arrows_counterclockwise": "\U0001f504",
        "warning": "\u26a0",
        "dart": "\U0001f3af",
        "smile": EMOJI,
    }.items():
        assert clean(f":{name}:") == sign
    assert [is_symbol(each) for each in "\u2192\u2191\u20e3\U0001f525\u25b2`aA1"] == [True] * 6 + [False] * 3


def test_marks_inside_and_around_a_line_are_taken_off() -> None:
    """Bold, code, hard and thin spaces; what breaks a number makes it no price."""
    assert clean("**Breakout**\u00a0_Above_\u2009`100`\u200b\ufe0f") == "Breakout Above 100"
    for space in "\u2007\u202f":
        assert clean(f"a{space}b") == "a b"
    for invisible in "\u200c\u200d\u2060\ufe0e\ufeff":
        assert clean(f"a{invisible}b") == "ab"
    for broken in ("13**7**", ".5**6**", "137.`60`", "1_3"):
        assert refusal(f"breakout {broken}").endswith("which cannot be read as a price")


def test_what_is_no_price() -> None:
    """Units, times, dates, decimal commas, other scripts and numbers longer than any price."""
    for odd in (
        "130s",
        ".5m",
        "10%",
        "9:30",
        "5.29.25",
        "141,40",
        "1234567890",
        "0.123456789",
        "\u0663",
        "1,2345",
    ):
        assert refusal(f"breakout {odd}") == f"has {odd!r}, which cannot be read as a price"
    for price, value in (("1,234.5", "1234.5"), (".5", "0.5"), ("123456789", "123456789")):
        assert setup(f"breakout {price}").low == Decimal(value)
    assert [token.text for token in tokenize("a 1,2")] == ["a", "1,2"]


def test_numbers_too_far_apart_are_refused() -> None:
    """A zone is a fifth wide at most, a target or stop a third to three times its level."""
    assert setup("bounce zone 100-120").high == 120
    assert refusal("bounce zone 100-120.01").endswith("too far apart for one zone")
    assert setup("breakout 100 target 300").targets == prices(300)
    assert "has 300.01 too far" in refusal("breakout 100 target 300.01")
    assert setup("breakdown 99 target 33 stop 33").stop == 33
    assert "has 32.99 too far" in refusal("breakdown 99 target 32.99")
    assert "has 32.99 too far" in refusal("breakdown 99 target 60 stop 32.99")
    assert refusal("breakout 0") == "has a level of 0"
    assert refusal("breakout") == "names no level"


def test_every_word_for_a_stance_and_for_a_condition() -> None:
    """A condition within two words before it leaves the stance open; a comma parts them."""
    for stance, words in {
        "bullish": ["bullish", "Long bias", "long above 100", "long, for now", "long only"],
        "bearish": ["bearish", "Short bias", "short below 100", "short."],
        "neutral": ["neutral", "mixed", "sideways", "choppy"],
    }.items():
        for word in words:
            assert read_stance(word) == stance
    conditions = (
        *("not", "no", "never", "only", "less", "if", "unless", "until", "flip", "flips", "turn", "turns"),
        *("become", "becomes", "shift", "shifts", "isn't", "isn\u2019t", "isnt", "back", "then", "once"),
        *("when", "above", "over", "below", "under"),
    )
    for word in conditions:
        assert read_stance(f"{word} bullish") is None
        assert read_stance(f"we {word} very bullish") is None
        assert read_stance(f"{word} we are bullish") == "bullish"
        assert read_stance(f"{word}, bullish") == "bullish"
    for text, stance in {
        "bulls in charge": "bullish",
        "Sellers have the upper hand": "bearish",
        "bears are still firmly in the driver's seat": "bearish",
        "buyers remain in full control above 590": "bullish",
        "to the downside": "bearish",
        "upside favored": "bullish",
        "range-bound": "neutral",
        "down": "bearish",
        "higher, slowly": "bullish",
    }.items():
        assert read_stance(text) == stance, text
    for text in (
        *("bulls need 590", "bulls no longer in control", "if 590 holds, bulls in charge", "up move"),
        *("long only if", "above 590: upside", "above 590 for upside", "downside risk", "limited upside"),
        *("bullish only above 590", "long above 590, short below 580", "bulls in charge, bears in control"),
        *("under 590 on volume bears in control", "could turn out bearish", "losing upside momentum"),
        "590 for bullish continuation",
    ):
        assert read_stance(text) is None, text
    assert read_stance("If 590 holds we wait. Bearish") == "bearish"
    assert read_stance("bullish and bearish") is None
    assert read_stance("bullish, very bullish") == "bullish"
    assert read_stance("longer") is None


def test_every_way_a_bias_is_announced() -> None:
    """By a sign or its first words; of the market, when it says so."""
    for text in (
        "Bias: up",
        "bias is bullish",
        "Overall bias - x",
        "leaning bullish",
        "bearish below",
        "long bias",
    ):
        assert is_bias("", text)
    assert is_bias("\u26a0", "anything")
    assert not is_bias("\u274c", "anything")
    for word in ("overall", "market", "general", "daily", "overall market"):
        assert concerns_market(f"{word} bias: bullish")
        assert bias_text(f"{word} bias is = bullish") == "bullish"
    assert not concerns_market("bias: bullish")
    assert bias_text("leaning bullish") == "leaning bullish"
    assert bias_text("Bias: no bias today") == "no bias today"


def test_every_month_and_weekday() -> None:
    """Short and long, before and after the day, with and without a point."""
    names = ["January", "February", "March", "April", "May", "June"]
    names += ["July", "August", "September", "October", "November", "December"]
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    for month, name in enumerate(names, 1):
        day = date(2026, month, 15)
        posted = datetime(2026, month, 15, 12, tzinfo=UTC)
        for written in (name, name[:3], f"{name[:3]}.", name.upper()):
            for text in (
                f"{written} 15",
                f"15 {written}",
                f"{written} 15th, 2026",
                f"15th of {written} 2026",
            ):
                assert read_day(text, posted) == DayReading(day, None)
        for index, weekday in enumerate(days):
            found = read_day(f"{weekday} {name} 15", posted)
            assert (found.day == day) == (day.weekday() == index)
    for short in ("Fri", "fri", "Friday"):
        assert read_day(f"{short} May 15", POSTED).day == POSTED.date()
    for shorts, number in {
        ("mon",): 11,
        ("tue", "tues"): 12,
        ("wed", "weds"): 13,
        ("thu", "thur", "thurs"): 14,
        ("sat", "satur"): 16,
        ("sun",): 17,
    }.items():
        for short in shorts:
            assert read_day(f"{short} May {number}", POSTED).day == date(2026, 5, number)


def test_the_ends_of_what_a_date_may_be() -> None:
    """Sixty days from posting without a year; of two orders the one within a week."""
    assert read_day("July 14", POSTED).day == date(2026, 7, 14)
    assert (
        read_day("July 15", POSTED).problem
        == "'July 15' is not a day of the calendar near the time of posting"
    )
    assert read_day("March 16", POSTED).day == date(2026, 3, 16)
    assert read_day("March 15", POSTED).day is None
    assert read_day("2027-07-15", POSTED).day == date(2027, 7, 15)
    assert read_day("7/15/26", POSTED).day == date(2026, 7, 15)
    assert read_day("15.5.2026", POSTED).day == date(2026, 5, 15)
    assert read_day("15.5", POSTED).problem == "names no date"
    posted = datetime(2026, 5, 30, tzinfo=UTC)
    assert read_day("5/6", posted).day == date(2026, 6, 5)
    assert read_day("6/5", datetime(2026, 5, 29, tzinfo=UTC)).day == date(2026, 6, 5)
    assert (
        read_day("6/5", datetime(2026, 5, 28, tzinfo=UTC)).problem == "'6/5' may be 2026-05-06 or 2026-06-05"
    )
    assert read_day("Friday", POSTED).problem == "names a weekday but no date"
    assert read_day("Thu Fri May 15", POSTED).problem == "names several weekdays beside 'May 15'"
    assert read_day("Thu May 15", POSTED).problem == (
        "the weekday contradicts 'May 15', which is Friday 2026-05-15"
    )
    assert read_day("Sat 6/5", POSTED).problem == (
        "the weekday contradicts '6/5', which is Wednesday 2026-05-06 or Friday 2026-06-05"
    )
    assert read_day("May 15, May 16", POSTED).problem == "names several dates: May 15, May 16"
    assert read_day("May 15 5/15", POSTED).problem is not None
    assert read_day("Jan 2", datetime(2025, 12, 31, tzinfo=UTC)).day == date(2026, 1, 2)
    assert read_day("Dec 30", datetime(2026, 1, 2, tzinfo=UTC)).day == date(2025, 12, 30)


def test_every_hint_that_a_message_may_plan_trades() -> None:
    """Any one is enough; words inside words are not."""
    hints = ["setup", "set-up", "breakout", "bias", "bullish", "bearish", "neutral", ":arrow_up:"]
    hints += [
        ":small_red_triangle:",
        ":warning:",
        "reject",
        "rejects",
        "rejection",
        "rejections",
        "rejecting",
    ]
    hints += [
        "bounce",
        "bounces",
        "bouncing",
        "long",
        "longs",
        "short",
        "shorts",
        "agg",
        "aggr",
        "aggressive",
    ]
    hints += ["con", "cons", "conserv", "conservative", "LONG", "lo\u200bng"]
    hints += ["bulls", "bears", "buyers", "sellers", ":chart_with_upwards_trend:", "\u2197", "\u2198"]
    hints += ["above 5", "over **5", "below_5", "under\n5", "beneath $5"]
    hints += "\u26a0\U0001f53c\U0001f53a\U0001f199\U0001f4c8\u2b06\u2191\u23eb\u25b2\u25b3"
    hints += "\U0001f53b\U0001f53d\U0001f4c9\u2b07\u2193\u23ec\u25bc\u25bd"
    for hint in hints:
        assert may_plan_trades(f"SPY {hint} y"), hint
    for chat in ("hello", "over it", "above us", "along", "shorter", "second", "bounced", "\U0001f525"):
        assert not may_plan_trades(chat), chat


def test_words_in_capitals_that_are_no_tickers() -> None:
    """Written with a dollar sign they are."""
    words = (
        "NOTE NOTES EDIT ALERT NEWS INFO PLAN RISK READ SETUP TBA TBD NFA TLDR FYI IMO IDK ASAP BTW PS "
        "TODAY NOW DAY AM PM EOD EOW ET EST EDT CST PST UTC RTH PRE POST LIVE END NEW FED FOMC CPI PPI NFP "
        "GDP VWAP EMA SMA RSI ATH HOD LOD PMH PML PDH PDL BUY SELL HOLD WAIT EXIT OPEN CLOSE HIGH LOW UP "
        "DOWN CALLS PUTS SWING BULL BULLS BEAR BEARS A ALL ALSO AND I NO YES OK GO GOOD NICE GM GL GG HI HEY "
        "TY THX LFG LETS LOL LMAO OMG WOW WTF YOLO FOMO RIP BOOM MOON FREE LONG SL TP BIAS ABOVE ZONE"
    )
    for word in re.findall("[A-Z]+", words):
        assert ticker_alone(word) is None, word
        assert ticker_alone(f"${word}") == word
    for text, ticker in {
        "SPY": "SPY",
        "$spy": "SPY",
        "BRK.B": "BRK.B",
        "BRK-B": "BRK-B",
        "BTC/USD": "BTC/USD",
        "ETHUSDT": "ETHUSDT",
        "SPX500": "SPX500",
        "SPY:": "SPY",
        "SPY - (weekly)": "SPY",
        "SPY @ $512.30": "SPY",
        "SPY levels": "SPY",
        "SPY setup": "SPY",
        "SPY scalps": "SPY",
        "SPY plan:": "SPY",
        "SPY \U0001f525": "SPY",
        "SPY!": "SPY",
    }.items():
        assert ticker_alone(text) == ticker, text
    for text in ("Tsla", "SPY QQQ", "ABCDEF", "SPY, AMD", ""):
        assert ticker_alone(text) is None, text


def test_a_ticker_before_its_setup() -> None:
    """Parted by a sign, or followed by the words of a setup."""
    for text in (
        "SPY: breakout 500",
        "SPY | x",
        "SPY - x",
        "SPY breakout 500",
        "SPY bias up",
        "SPY \U0001f53c 500",
    ):
        found = ticker_prefix(take_apart(text))
        assert found is not None, text
        assert found[0] == "SPY"
    for word in ("bias", "bullish", "bearish", "neutral", "leaning"):
        assert ticker_prefix(take_apart(f"SPY {word} into the open")) is not None, word
    for text in ("SPY 500", "SPY: 500", "SPY - $500", "SPY tomorrow", "Spy: x", "NOTE: x"):
        assert ticker_prefix(take_apart(text)) is None, text


def test_what_announces_setups() -> None:
    """A grade, a kind or a day beside the word."""
    for text in (
        "A+ setups",
        "Scalp setups",
        "Today's trade set-ups",
        "Setups May 15",
        "my swing option setup x y",
    ):
        assert is_header(text), text
    for kind in (
        "scalp",
        "scalping",
        "trade",
        "trades",
        "trading",
        "day",
        "swing",
        "option",
        "test",
        "draft",
    ):
        assert is_header(f"{kind} setups"), kind
    for text in ("setups", "trade setups one two three", "the setups", "trade set"):
        assert not is_header(text), text


def test_what_parts_setups() -> None:
    """Rules of dashes, and lines that end a section."""
    assert [is_divider(each) for each in ("---", "===", "~ ~", "\u2500\u2500\u2500", "--", "- x -")] == [
        *(True, True, True, True),
        *(False, False),
    ]
    for word in (
        "levels",
        "key levels",
        "setups",
        "notes",
        "note",
        "plan",
        "update",
        "edit",
        "edited",
        "zone",
    ):
        assert not ends_section(take_apart(word))
    for text in (
        "Tsla",
        "3) Oil and gas and more words",
        "one two three",
        "Tesla breakout 290 and more words",
    ):
        assert ends_section(take_apart(text)), text
    assert [
        may_begin_with_ticker(take_apart(text)) for text in ("Tesla breakout 290", "Tesla: long 290")
    ] == [
        *(True, True),
    ]
    for text in ("500 breakout", "breakout long 3", "TP1 breakout 3", "Tesla", "", "Tesla is at 290"):
        assert not may_begin_with_ticker(take_apart(text)), text
    assert [is_date_line(text) for text in ("Fri May 15", "5/15,", "Friday", "May 15 plan", "-")] == [
        *(True, True),
        *(False, False, False),
    ]
    for text in ("@everyone", "one two three four", "", "!!!"):
        assert not ends_section(take_apart(text)), text


def test_every_refusal_of_what_follows_a_level() -> None:
    """Word for word: the lines are shown with them."""
    for text, reason in {
        "breakout 100 105": "has 105 after the level without a mark that makes it a target",
        "breakout 100 target 105-110": "has a target from 105 on written as a range",
        "breakout 100 target 1 105": "has a 1 that may count the targets or be one",
        "breakout 100 targets: 1) 105": "has a 1 that may count the targets or be one",
        "breakout 100 target 130s": "has '130s', which cannot be read as a price",
        "breakout 100 (105) (110)": "has a second list of numbers after '('",
        "breakout 100 x\u00b2": "has 'x\u00b2', which the grammar does not know",
        "breakout 100 maybe": "goes on after the level with 'maybe', which the grammar does not know",
        "breakout \U0001f53c 100": "has an arrow where the level should be",
    }.items():
        assert refusal(text) == reason, text
    for word in ("support", "resistance", "level"):
        assert setup(f"bounce 100 {word}").low == 100
    assert setup("breakout 100 target 1: 105").targets == prices(105)
    assert setup("breakout 100 (105, 110) if it holds").targets == prices(105, 110)
    assert setup("breakout 100 (see chart) target 105").targets == prices(105)


def test_a_target_at_its_level_is_suspect() -> None:
    """It lies beyond it neither for a long nor for a short."""
    for line, suspect in {
        "Breakout 100 target 100, 101": ["100"],
        "Breakdown 100 target 100, 99": ["100"],
        "Bounce zone 100-101 target 100, 100.5": ["100"],
        "Rejection zone 100-101 target 101, 100.5": ["101"],
    }.items():
        [read] = parse_setups(f"$SPY\n{line}", POSTED).setups
        assert [str(target) for target in read.suspect_targets] == suspect


def test_what_does_not_even_try_to_be_a_setup_makes_no_plan() -> None:
    """Under a ticker, too: chat, a rule, what is struck through."""
    for line in ("so far so good my friends", "----------", "~~breakout 100~~"):
        assert not plans_trades(parse_setups(f"$SPY\n{line}", POSTED)), line
    for line in ("breakout maybe 100", "bias: up", "breakout 100"):
        assert plans_trades(parse_setups(f"$SPY\n{line}", POSTED)), line
    assert plans_trades(parse_setups("breakout 100", POSTED))
