"""The choice of engine: DuckDB unless a PostgreSQL URL is set."""

from __future__ import annotations

from urllib.parse import urlsplit

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.database import Database

_SCHEMES = {"postgresql", "postgres"}


def open_database(settings: Settings) -> Database:
    """Return the deployment's database; nothing is opened or connected until first use.

    Raises:
        ConfigurationError: `INGEST_DATABASE_URL` is not a PostgreSQL URL.
    """
    if settings.database_url is None:
        from ingest_pipeline.storage.duckdb_engine import DuckDBDatabase

        return DuckDBDatabase(settings.database_path, settings.database_wait_seconds)
    url = settings.database_url.get_secret_value()
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _SCHEMES:
        raise ConfigurationError(
            "INGEST_DATABASE_URL is not a PostgreSQL URL: "
            "write postgresql://user:password@host:5432/database, or leave it empty for DuckDB"
        )
    if parts.netloc.count("@") > 1:
        # The part after the first @ would be taken for the host, and shown in errors.
        raise ConfigurationError("INGEST_DATABASE_URL has a bare @ in its user or password: write it as %40")
    from ingest_pipeline.storage.postgres_engine import PostgresDatabase

    return PostgresDatabase(settings.database_url, settings.database_wait_seconds)
