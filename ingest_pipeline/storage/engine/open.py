"""The choice of engine: DuckDB unless a PostgreSQL URL is set."""

from __future__ import annotations

from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import SecretStr

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database

_SCHEMES = {"postgresql", "postgres"}


def open_database(settings: Settings) -> Database:
    """Return the deployment's database; nothing is opened or connected until first use.

    Arrow's memory comes from the system from then on: its own pool keeps tens of megabytes of what was freed.

    Raises:
        ConfigurationError: `INGEST_DATABASE_URL` is not a PostgreSQL URL.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if settings.database_url is None:
        from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase

        return DuckDBDatabase(settings.database_path, settings.database_wait_seconds)
    from ingest_pipeline.storage.engine.postgres.engine import URL_VARIABLE, PostgresDatabase

    require_postgres_url(settings.database_url, URL_VARIABLE)
    return PostgresDatabase(settings.database_url, settings.database_wait_seconds)


def require_postgres_url(secret: SecretStr, origin: str) -> None:
    """Check the form of a PostgreSQL URL.

    Args:
        secret: The URL.
        origin: What names it: a variable, or an option of a command.

    Raises:
        ConfigurationError: It is not one; the message leaves it out, as it may hold a password.
    """
    url = secret.get_secret_value()
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _SCHEMES:
        raise ConfigurationError(
            f"{origin} is not a PostgreSQL URL: "
            "write postgresql://user:password@host:5432/database, or leave it empty for DuckDB"
        )
    if parts.netloc.count("@") > 1:
        # The part after the first @ would be taken for the host, and shown in errors.
        raise ConfigurationError(f"{origin} has a bare @ in its user or password: write it as %40")
