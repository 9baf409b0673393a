"""Profiles in the database, as last read; see `domain/messages/profiles.py`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ingest_pipeline.domain.erasures import Subject
from ingest_pipeline.domain.messages.profiles import Profile, Profiles, over
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.storage.erasure_list import erasures_in

_USER = "user"


def save_profiles(connection: Connection, readings: Iterable[tuple[datetime, Profiles]]) -> int:
    """Keep the profiles of readings; what is known and the same is not written.

    Args:
        readings: When each was made, aware UTC, and its profiles.

    Returns:
        How many profiles were new or changed.
    """
    latest: dict[tuple[str, int], tuple[datetime, Profile]] = {}
    for read_at, profiles in sorted(readings, key=lambda reading: reading[0]):
        for key, profile in profiles.items():
            latest[key] = (read_at, over(profile, latest[key][1]) if key in latest else profile)
    erased = erasures_in(connection).erased_ids(
        Subject.AUTHOR, {entity_id for kind, entity_id in latest if kind == _USER}
    )
    keys = sorted(key for key in latest if key[0] != _USER or key[1] not in erased)
    if not keys:
        return 0
    kept = [latest[key][1] for key in keys]
    return connection.execute(
        "save_profiles",
        kinds=[kind for kind, _ in keys],
        entity_ids=[entity_id for _, entity_id in keys],
        names=[each.name for each in kept],
        display_names=[each.display_name for each in kept],
        global_names=[each.global_name for each in kept],
        picture_urls=[each.picture_url for each in kept],
        observed_ats=[latest[key][0] for key in keys],
    )
