-- name: server_version
-- The engine's version.
SELECT version() AS version;

-- name: database_size
-- Bytes of the database's file.
SELECT (total_blocks * block_size)::BIGINT AS bytes FROM pragma_database_size();
