-- name: configure_session
-- Show times in UTC and cut them into minutes and days of UTC.
SET TimeZone = 'UTC';

-- name: load_rows
-- Take rows for a table from the client's memory.
INSERT INTO {table} ({columns}) SELECT {columns} FROM loaded_rows;

-- name: read_open_file
-- Nothing when it is a database in memory, from which DuckDB looks at a file of data.
SELECT path FROM duckdb_databases() WHERE database_name = current_database() AND path IS NOT NULL;

-- name: read_metadata_blocks
-- The blocks that a checkpoint may write in place.
SELECT block_id FROM pragma_metadata_info();
