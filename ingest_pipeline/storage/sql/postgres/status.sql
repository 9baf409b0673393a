-- name: server_version
-- The engine's version.
SELECT current_setting('server_version') AS version;

-- name: database_size
-- Bytes of the database, its indexes included.
SELECT pg_database_size(current_database()) AS bytes;
