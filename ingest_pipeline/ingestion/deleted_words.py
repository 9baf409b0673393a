"""Deletions on Discord in channels that keep no words of deleted messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure.tables import erase_messages
from ingest_pipeline.storage.erasure_list import note_erased
from ingest_pipeline.storage.messages.deletions import Tombstone, tombstone_messages
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import load_settings_file


def delete_messages(services: Services, connection: Connection, tombstones: Sequence[Tombstone]) -> None:
    """Record deletions, and erase the messages of channels that keep no words of them.

    Files and free space are for the next sweep; from now on nothing brings the words back.

    Args:
        connection: As for `tombstone_messages`.
        tombstones: The deletions.

    Raises:
        ConfigurationError: `data/settings.yaml` or what is set by command is wrong.
    """
    if not tombstones:
        return
    tombstone_messages(connection, tombstones)
    file = load_settings_file(services.settings.settings_file, groups=False)
    settings = effective_settings(connection, file, {each.channel_id for each in tombstones})
    ids = [each.discord_id for each in tombstones if not settings[each.channel_id].keep_deleted_words]
    if ids:
        note_erased(connection, Subject.DELETED, ids, before_id=None, now=datetime.now(UTC))
        erase_messages(connection, ids)
