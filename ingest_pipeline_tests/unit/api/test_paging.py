"""Cursors are given back as they were given out, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.api.fields import cursor_of, message_of
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE
from ingest_pipeline.errors import BadInput


@given(st.integers(1, MAX_SNOWFLAKE))
def test_a_cursor_leads_back_to_its_message(message_id: int) -> None:
    """Whatever the id, in letters that need no escaping in an address."""
    cursor = cursor_of(message_id)
    assert message_of(cursor) == message_id
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=200))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Never an error of another kind."""
    try:
        found = message_of(text)
    except BadInput:
        return
    assert cursor_of(found).rstrip("=") == text.rstrip("=")


@pytest.mark.parametrize("cursor", ["", "MTo", "MTowIA", "Mjox", "//8", "MTot"])
def test_near_misses_are_refused(cursor: str) -> None:
    """An empty id, a space in it, another form, no base64, a sign."""
    with pytest.raises(BadInput, match="next_cursor"):
        message_of(cursor)
