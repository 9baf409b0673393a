"""Requirements of a PostgreSQL database, checked once before it is used."""

from __future__ import annotations

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.engine.database import Connection

OLDEST_VERSION = 150_000


def require_usable(connection: Connection) -> None:
    """Check version, encoding and search path of a database.

    Raises:
        ConfigurationError: One of them does not do; the message says how to get one that does.
    """
    found = connection.fetch_one("describe_server")
    if found is None:
        return
    name = found["database_name"]
    if found["version_number"] < OLDEST_VERSION:
        raise ConfigurationError(
            f"PostgreSQL {found['version']} is too old: use version 15 or newer in INGEST_DATABASE_URL"
        )
    if found["encoding"] != "UTF8":
        raise ConfigurationError(
            f"database {name} is encoded in {found['encoding']}, which cannot hold every character: "
            "create one in UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0) and name it in "
            "INGEST_DATABASE_URL"
        )
    if found["schema_name"] is None:
        raise ConfigurationError(
            f"no schema of the search path ({found['search_path'] or 'empty'}) exists in database {name}: "
            "create one, or name one that exists (ALTER ROLE … SET search_path = public; or "
            "?options=-csearch_path%3Dpublic at the end of INGEST_DATABASE_URL)"
        )
