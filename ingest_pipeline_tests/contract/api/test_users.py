"""Users, as the stored messages show them."""

from __future__ import annotations

from datetime import timedelta

from ingest_pipeline.storage.catalogue.guilds import UserSync, list_users, sync_users
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.merge import merge_messages
from ingest_pipeline_tests.contract.readings import Reading, at, staged

NOW = at(7200)
LATER = NOW + timedelta(hours=2)


def test_users_are_named_as_in_their_newest_message(database: Database) -> None:
    """And are seen from their first to their last one."""
    with database.write() as connection:
        rows = [Reading(1, nickname="old"), Reading(5, nickname="new"), Reading(3)]
        merge_messages(connection, staged(rows), now=NOW)
        assert sync_users(connection, now=NOW) == UserSync(known=1, created=1, updated=0)
        [user] = list_users(connection)
    assert user == {
        "user_id": 9,
        "name": "Pit wall",
        "nickname": "new",
        "is_bot": True,
        "first_seen_at": at(1),
        "last_seen_at": at(5),
        "created_at": NOW,
        "updated_at": NOW,
    }


def test_a_later_sync_adds_what_came_since(database: Database) -> None:
    """Older messages that come late move the beginning and leave the name."""
    with database.write() as connection:
        merge_messages(connection, staged([Reading(5, nickname="new")]), now=NOW)
        sync_users(connection, now=NOW)
        assert sync_users(connection, now=NOW) == UserSync(known=1, created=0, updated=0)
        merge_messages(connection, staged([Reading(2, nickname="old")]), now=LATER)
        assert sync_users(connection, now=LATER) == UserSync(known=1, created=0, updated=1)
        [user] = list_users(connection)
        assert (user["nickname"], user["first_seen_at"], user["last_seen_at"]) == ("new", at(2), at(5))
        merge_messages(connection, staged([Reading(6, nickname="newest")]), now=LATER)
        sync_users(connection, now=LATER)
        [user] = list_users(connection)
    assert (user["nickname"], user["last_seen_at"], user["updated_at"]) == ("newest", at(6), LATER)
