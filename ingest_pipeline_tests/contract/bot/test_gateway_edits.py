"""Edits that empty or reshape a message reach its row, whatever the policy and the order."""

from __future__ import annotations

from typing import Any

import pytest

from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline_tests.contract.bot.test_gateway_ingest import (
    MESSAGE,
    SECOND,
    START,
    Gateway,
    deletion,
    frame,
    payload,
    services,
)
from ingest_pipeline_tests.contract.readings import stored_messages, stored_revisions, stored_skipped

__all__ = ["services"]

FILE = {"id": "3", "filename": "onboard.mp4", "size": 5, "url": "https://x.invalid/3"}
CREATION = frame("MESSAGE_CREATE", payload())
EMPTIED = payload("", edited_timestamp=(START + 400 * SECOND).isoformat(), attachments=[FILE])
UPDATE = frame("MESSAGE_UPDATE", EMPTIED)
BARE = payload("", edited_timestamp=(START + 410 * SECOND).isoformat())


def texts(services: Services) -> tuple[list[str], list[str], list[str]]:
    """Return the contents of rows, of revisions and of skipped messages."""

    def read(connection: Connection) -> tuple[list[str], list[str], list[str]]:
        found = stored_messages(connection), stored_revisions(connection), stored_skipped(connection)
        rows, revisions, skipped = ([each["raw_content"] for each in part] for part in found)
        return rows, revisions, skipped

    with services.database.read() as connection:
        return read(connection)


@pytest.mark.parametrize("frames", [(CREATION, UPDATE), (UPDATE, CREATION)])
@pytest.mark.parametrize("limit", [1, 100])
def test_a_text_that_was_taken_back_is_a_revision(
    services: Services, frames: tuple[bytes, ...], limit: int
) -> None:
    """The edit first or the creation first, in one batch or in two."""
    gateway = Gateway(services)
    gateway.receive(*frames)
    while gateway.store(limit):
        pass
    assert texts(services) == ([""], ["Box, box."], [])
    row = gateway.row()
    assert row is not None
    assert row["attachment_count"] == 1


def test_a_message_that_lost_everything_is_an_empty_row(services: Services) -> None:
    """A link's preview that is suppressed, say: read again, it carries nothing at all."""
    gateway = Gateway(services)
    gateway.receive(CREATION)
    gateway.store()
    gateway.read_again(BARE)
    assert texts(services) == ([""], ["Box, box."], [])


@pytest.mark.parametrize("replayed", [CREATION, frame("MESSAGE_CREATE", payload("", attachments=[FILE]))])
def test_a_creation_that_comes_after_a_reading_is_the_older_content(
    services: Services, replayed: bytes
) -> None:
    """With a text it has the message taken, without one it adds nothing; it never wins."""
    gateway = Gateway(services)
    seen: dict[str, Any] = payload("", attachments=[FILE], reactions=[{"emoji": {"name": "x"}, "count": 1}])
    gateway.read_again(seen)
    gateway.receive(replayed)
    gateway.store()
    rows, revisions, skipped = texts(services)
    if replayed is CREATION:
        assert (rows, revisions, skipped) == ([""], ["Box, box."], [])
        row = gateway.row()
        assert row is not None
        assert (row["reaction_count"], row["discord_id"]) == (1, MESSAGE)
    else:
        assert (rows, revisions, skipped) == ([], [], [""])


def test_a_deletion_holds_for_a_skipped_message_too(services: Services) -> None:
    """Taken later, it is a deleted row."""
    gateway = Gateway(services)
    gateway.receive(UPDATE, deletion())
    gateway.store()
    assert texts(services) == ([], [], [""])
    gateway.receive(CREATION)
    gateway.store()
    row = gateway.row()
    assert row is not None
    assert row["deleted_at"] is not None
    assert texts(services) == ([""], ["Box, box."], [])
