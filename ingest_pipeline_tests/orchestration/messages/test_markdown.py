"""What others write is shown in Dagster as it is, and formats, loads and links nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.orchestration.metadata import escaped, listed

HOSTILE = [
    "![x](https://evil.invalid/pixel)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "`code` and ``` fences",
    "| a | table |",
    "line\n\n# heading",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_mean_nothing(text: str) -> None:
    """As a warning of the exporter, a channel's name or an address could hold them."""
    assert re.fullmatch(r"`[^`\n]*`", as_code(text))
    assert not re.search(r"(?<!\\)[`\[<#|!]|\n", escaped(text))


@given(st.text())
def test_code_is_one_span_of_one_line(text: str) -> None:
    """Whatever is in it."""
    assert re.fullmatch(r"`[^`]+`", as_code(text))
    assert len(as_code(text).splitlines()) == 1


def test_a_long_list_shows_how_much_is_left_out() -> None:
    """And a short one does not."""
    assert listed(["a", "b", "c"], 2).value == "- a\n- b\n- and 1 more"
    assert listed(["a"], 2).value == "- a"
