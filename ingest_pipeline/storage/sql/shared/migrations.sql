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

-- name: name_migrations
-- The migrations that are newer than one.
SELECT name FROM schema_migrations WHERE version > $newest ORDER BY version;

-- name: record_migration
-- Record one migration as applied.
INSERT INTO schema_migrations (version, name, applied_at)
VALUES ($version::INTEGER, $name::TEXT, $applied_at::TIMESTAMPTZ);
