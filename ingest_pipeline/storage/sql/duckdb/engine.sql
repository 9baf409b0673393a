-- name: configure_session
-- Show times in UTC and cut them into minutes and days of UTC.
SET TimeZone = 'UTC';

-- name: load_rows
-- Take rows for a table from the client's memory.
INSERT INTO {table} ({columns}) SELECT {columns} FROM loaded_rows;

-- name: read_open_file
-- Nothing when it is a database in memory, from which DuckDB looks at a file of data.
SELECT path FROM duckdb_databases() WHERE database_name = current_database() AND path IS NOT NULL;

-- name: leave_log
-- Let closing the file leave the log as it is, instead of writing it into the file.
PRAGMA disable_checkpoint_on_shutdown; -- noqa: PRS

-- name: read_whole_table
-- Read every column of every row.
SELECT count(*) AS n, bit_xor(hash(t)) AS digest FROM {table} AS t;

-- name: attach_source
-- Open the file that is copied.
ATTACH {path} AS source_file (READ_ONLY); -- noqa: PRS

-- name: attach_target
-- Make the file that it is copied into.
ATTACH {path} AS target_file; -- noqa: PRS

-- name: copy_whole_file
-- Copy everything but what is free.
COPY FROM DATABASE source_file TO target_file; -- noqa: PRS

-- name: list_tables_of_files
-- Every table of both files.
SELECT database_name, schema_name, table_name
FROM duckdb_tables()
WHERE database_name IN ('source_file', 'target_file')
ORDER BY database_name, schema_name, table_name;
