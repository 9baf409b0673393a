"""The use case that synchronises the stored sessions with the file that a user edits."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection, Database
from ingest_pipeline.storage.messages.sessions import SessionChanges, save_sessions
from ingest_pipeline.storage.runs.state import get_state, set_state
from ingest_pipeline.userconfig.edited_files import read_edited_file
from ingest_pipeline.userconfig.session_files import parse_sessions

_STATE_KEY = "sessions_file_digest"


def sync_sessions_file(database: Database, settings: Settings, now: datetime) -> SessionChanges | None:
    """Take over `data/sessions.yaml` when it has changed since the last time.

    Sessions are created and updated, never removed: one that leaves the file stays stored.

    Args:
        database: Where the sessions and the digest of the file last taken over are.
        settings: Tell where the file is and which channel sessions have that name none.
        now: Time of the change, aware UTC.

    Returns:
        What changed, or None when the file is absent or as it was.

    Raises:
        SessionInvalid: The file breaks rules; nothing is changed, and the next call tries again.
        BadInput: The file cannot be read.
    """
    path = settings.sessions_file
    if not path.is_file():
        return None
    content = read_edited_file(path)
    # The default channel is part of what the file says: sessions that name none follow it.
    digest = blake2b(content + b"\0%d" % settings.default_channel_id, digest_size=16).hexdigest()
    with database.read() as connection:
        if get_state(connection, _STATE_KEY) == digest:
            return None
    sessions = parse_sessions(content, str(path), default_channel_id=settings.default_channel_id)

    def save(connection: Connection) -> SessionChanges:
        changes = save_sessions(connection, sessions, now=now)
        set_state(connection, _STATE_KEY, digest)
        return changes

    return database.run(save)
