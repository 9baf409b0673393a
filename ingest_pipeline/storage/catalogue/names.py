"""Names of the users, channels and roles that texts mention, as the catalogue and readings have them."""

from __future__ import annotations

from collections.abc import Iterable

from ingest_pipeline.domain.messages.mentions import Names, mentioned_ids
from ingest_pipeline.domain.snowflake import MAX_SNOWFLAKE
from ingest_pipeline.storage.engine.database import Connection


def names_in(connection: Connection, texts: Iterable[str]) -> Names:
    """Return the known names of whom and what texts mention; the database is only asked if there is any."""
    users, channels, roles = mentioned_ids(texts)
    return Names(
        _names(connection, "name_users", users),
        _names(connection, "name_channels", channels),
        _names(connection, "name_roles", roles),
    )


def _names(connection: Connection, query: str, ids: set[int]) -> dict[int, str]:
    wanted = sorted(each for each in ids if each <= MAX_SNOWFLAKE)
    return {row["id"]: row["name"] for row in connection.fetch_all(query, ids=wanted)} if wanted else {}
