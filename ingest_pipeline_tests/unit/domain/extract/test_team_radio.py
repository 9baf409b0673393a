"""Team radio content splits into the driver and what is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.team_radio import split_radio

PIECES = [
    "`",
    "``",
    "```",
    "Leclerc",
    " ",
    "\n",
    ":mic:",
    "🎙️",
    "📻",
    "*",
    "**",
    "Box, box.",
    "<:a:1>",
    "🇲🇨",
    ":",
]
UNSEEN = "\u200b\u2060\ufeff"
contents = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def shown(content: str) -> str:
    """Return a text without spoiler bars and zero-width spaces."""
    return re.sub(rf"\|\||[{UNSEEN}]", "", content)


@pytest.mark.parametrize(
    ("content", "driver", "text"),
    [
        (":studio_microphone: `Leclerc` Box, box.", "Leclerc", "Box, box."),
        ("🎙️ `Leclerc` Box, box.", "Leclerc", "Box, box."),
        ("🎙 `Leclerc` Box, box.", "Leclerc", "Box, box."),
        ("📻`LEC`Box", "LEC", "Box"),
        ("<:radio:1101802452224856174> `Hamilton` Copy.", "Hamilton", "Copy."),
        ("<a:radio:1101802452224856174> `Hamilton` Copy.", "Hamilton", "Copy."),
        (":studio_microphone: :checkered_flag: `Russell` P1!", "Russell", "P1!"),
        ("👍🏽 `Norris` Nice one.", "Norris", "Nice one."),
        ("👨‍👩‍👧 `Norris` Hello.", "Norris", "Hello."),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f `Russell` Home.",
            "Russell",
            "Home.",
        ),
        ("🇲🇨 `Leclerc` Home.", "Leclerc", "Home."),
        ("1️⃣ `Verstappen` First.", "Verstappen", "First."),
        ("☎️ `Albon` Hello.", "Albon", "Hello."),
        ("⏱️⏱️ `Albon` Purple.", "Albon", "Purple."),
        (":wave::skin-tone-3: `Gasly` Bye.", "Gasly", "Bye."),
        ("\n  🎙️\n `Leclerc`\nBox, box.\n", "Leclerc", "Box, box."),
    ],
)
def test_the_driver_and_the_words_are_distinguished(content: str, driver: str, text: str) -> None:
    """Whatever emoji leads, the first backticked span is the driver and the rest is said."""
    assert split_radio(content) == (driver, text)


@pytest.mark.parametrize(
    ("content", "driver", "text"),
    [
        ("Box, box `Leclerc` now", "Leclerc", "Box, box now"),
        ("🎙️ `  Leclerc\t` Box", "Leclerc", "Box"),
        ("`Leclerc` and `Hamilton` collide", "Leclerc", "and `Hamilton` collide"),
        ("`Leclerc`: Box", "Leclerc", "Box"),
        ("`Leclerc` :: :fire: Box", "Leclerc", ":fire: Box"),
        ("`:Leclerc:` Box", "Leclerc", "Box"),
        ("**`Leclerc`:** Box", "Leclerc", "Box"),
        ("||🎙️ `Leclerc` Box, box.||", "Leclerc", "Box, box."),
        ("`Leclerc` ||Box, box.||", "Leclerc", "Box, box."),
        ("`||Leclerc||` Box", "Leclerc", "Box"),
        ("\u200b🎙️ `Lec\u200blerc`\ufeff Bo\u2060x", "Leclerc", "Box"),
        ("``Leclerc`` Box", "Leclerc", "Box"),
        ("``Le`clerc`` Box", "Le`clerc", "Box"),
        ("`a``b` Box", "a``b", "Box"),
        ("**`Leclerc`** Box", "Leclerc", "Box"),
        ("**_`Leclerc`_** Box", "Leclerc", "Box"),
        ("**`Leclerc` Box**", "Leclerc", "** Box**"),
        ("`Leclerc`", "Leclerc", ""),
        ("`Leclerc` `", "Leclerc", "`"),
        ("`Leclerc` 🎙️ Box", "Leclerc", "🎙️ Box"),
        ("`Pérez` Vámonos", "Pérez", "Vámonos"),
    ],
)
def test_the_span_may_stand_anywhere_and_in_any_dress(content: str, driver: str, text: str) -> None:
    """Only the first span goes, with its tight emphasis; everything else stays as written."""
    assert split_radio(content) == (driver, text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ""),
        (" \n ", ""),
        ("Box, box.", "Box, box."),
        ("🎙️ Box, box.", "Box, box."),
        (":studio_microphone:", ""),
        ("🔥🔥 What a lap", "What a lap"),
        ("` ` Box", "Box"),
        ("`` Box", "Box"),
        ("``", ""),
        ("`:` ||Box||", "||Box||"),
        ("||Box|| \u200b", "||Box|| \u200b"),
        (": Box", ": Box"),
        ("`Leclerc Box, box.", "`Leclerc Box, box."),
        ("````", "````"),
    ],
)
def test_without_a_named_span_there_is_no_driver(content: str, text: str) -> None:
    """No span, an unclosed one or a blank one: no driver, and nothing said is lost."""
    assert split_radio(content) == (None, text)


def test_a_code_block_is_no_driver_and_stays_in_the_text() -> None:
    """Three backticks quote something; the driver is the first inline span beside them."""
    assert split_radio("```\nlap 12\n``` boxing") == (None, "```\nlap 12\n``` boxing")
    assert split_radio("```\nlap 12\n``` `Leclerc` boxing") == ("Leclerc", "```\nlap 12\n``` boxing")
    assert split_radio("```lap 12 `Leclerc` boxing") == ("Leclerc", "```lap 12 boxing")


@pytest.mark.parametrize(
    "content",
    [
        "12:30:45 green light",
        "© 2026",
        "™ now",
        "5 laps left",
        ": Box :",
        "<@123> hello",
        "<:bad> hi",
        "↔ swap",
    ],
)
def test_what_only_resembles_an_emoji_is_kept(content: str) -> None:
    """Times, mentions, digits and symbols of plain text are part of what is said."""
    assert split_radio(content) == (None, content)


def test_a_symbol_becomes_an_emoji_by_its_selector() -> None:
    """The copyright sign with the emoji variation selector leads like any other emoji."""
    assert split_radio("©\ufe0f Box") == (None, "Box")


@given(contents)
@example("` `` `")
@example("**`a`**`b`")
def test_any_content_splits_into_trimmed_parts_of_itself(content: str) -> None:
    """No content fails; both parts are trimmed and made of the content's own characters."""
    driver, text = split_radio(content)
    assert text == text.strip()
    assert driver is None or (driver == driver.strip() and driver and driver in shown(content))
    assert len(text) + len(driver or "") <= len(content)
    remaining = iter(content)
    assert all(character in remaining for character in text)


@given(
    st.sampled_from(["", "🎙️ ", ":studio_microphone: ", "<:r:1> "]),
    st.text(st.characters(exclude_characters=f"`|:{UNSEEN}"), min_size=1).filter(
        lambda name: name.strip() == name
    ),
    st.text(st.characters(exclude_characters=f"`*_~|:{UNSEEN}"), max_size=60),
)
def test_a_written_driver_comes_back_and_the_span_goes_once(emoji: str, name: str, reason: str) -> None:
    """What a radio channel writes is read back: the name as written, its span no longer in the text."""
    driver, text = split_radio(f"{emoji}`{name}` {reason}")
    assert driver == name
    assert text == reason.strip()


@given(st.text(st.characters(exclude_characters="`"), max_size=80))
def test_without_backticks_only_leading_emoji_and_space_go(content: str) -> None:
    """The text is the content's tail, and what went before it holds no letter outside a shortcode."""
    driver, text = split_radio(content)
    assert driver is None
    assert content.rstrip().endswith(text)
    lead = content.rstrip().removesuffix(text)
    assert not re.search(r"[^\W\d_]", re.sub(r"<?a?:[\w+-]+:[0-9]*>?", "", lead))
