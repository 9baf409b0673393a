"""A role for people who read the tables on a PostgreSQL server and can change nothing."""

from __future__ import annotations

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.engine.postgres.engine import PostgresDatabase
from ingest_pipeline.storage.engine.queries import quoted

SECRET_TABLES = ("erasure_keys", "erasures", "install_intents", "state")


def grant_reading(database: PostgresDatabase, role: str) -> bool:
    """Let a role read every table and view, those that are made later too; make it if there is none.

    Args:
        database: Its schema is the newest.
        role: The role's name.

    Returns:
        Whether the role was made; it has no password then.

    Raises:
        ConfigurationError: The database's user may not make roles, or does not own the tables; or the role is
            the database's own user.
        DatabaseUnavailable: The database cannot be reached.
    """
    database.migrate()
    with database.outside_transactions() as connection:
        place = connection.fetch_one("where_tables_are") or {}
        if role == place["user_name"]:
            raise ConfigurationError(f"{role} is the user that writes the tables: name another role")
        names = {"role": quoted(role)}
        schema = names | {"schema": quoted(place["schema_name"])}
        home = names | {"database": quoted(place["database_name"])}
        is_new = connection.fetch_one("find_role", role_name=role) is None
        if is_new:
            connection.execute("create_reader", names)
        connection.execute("let_connect", home)
        for query in ("let_use", "let_read", "let_read_later"):
            connection.execute(query, schema)
        for table in SECRET_TABLES:
            connection.execute("keep_secret", names | {"table": quoted(table)})
        connection.execute("begin_reading_only", names)
        connection.execute("set_search_path", schema | home)
    return is_new
