"""Manifests after an erasure: a version that says so, and none that names what was erased."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.messages.manifest_changes import changes_as_json
from ingest_pipeline.storage.messages.manifests import list_manifests, write_manifests
from ingest_pipeline.storage.messages.sessions import list_sessions


def forget_in_manifests(
    connection: Connection,
    sealed: Mapping[str, Mapping[int, int]],
    erased: AbstractSet[int],
    *,
    now: datetime,
) -> None:
    """Take messages that were erased out of all versions of manifests, and write a version that says so.

    Args:
        connection: The transaction that erases them; they are in no table any more.
        sealed: How many messages of each sealed session, by channel, were erased.
        erased: Which.
        now: When, aware UTC.
    """
    sessions = {session.session_id: session for session in list_sessions(connection)}
    for session_id, counts in sealed.items():
        manifests = list_manifests(connection, session_id)
        for each in manifests:
            connection.execute(
                "name_erased_no_more",
                session_id=session_id,
                version=each.version,
                channel_id=each.channel_id,
                first_id=None if each.first_id in erased else each.first_id,
                last_id=None if each.last_id in erased else each.last_id,
                changes=changes_as_json(each.changes.without(erased)),
            )
        if manifests and session_id in sessions:
            source = manifests[0].source
            write_manifests(connection, sessions[session_id], source=source, now=now, erased=counts)
