-- name: migrations_columns
-- The columns of the table that keeps the schema's history; none when it is not there yet.
SELECT column_name
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'schema_migrations';

-- name: create_migrations_table
-- Begin the schema's history.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL
);

-- name: applied_migrations
-- The numbers of the migrations applied.
SELECT version FROM schema_migrations ORDER BY version;

-- name: record_migration
-- Record one migration as applied.
INSERT INTO schema_migrations (version, name, applied_at)
VALUES ($version::INTEGER, $name::TEXT, $applied_at::TIMESTAMPTZ);
