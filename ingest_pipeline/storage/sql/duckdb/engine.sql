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

-- name: spill_beside_file
-- Let what does not fit into memory go to a folder beside the file.
SET temp_directory = {folder};

-- name: limit_memory
-- Let DuckDB take this much memory.
SET memory_limit = {memory};

-- name: attach_to_read
-- Open the file, to read.
ATTACH {path} AS ingest (TYPE duckdb, READ_ONLY); -- noqa: PRS

-- name: attach_to_write
-- Open the file, to write; it is made when it is not there.
ATTACH {path} AS ingest (TYPE duckdb); -- noqa: PRS

-- name: use_file
-- Find names in the file.
USE ingest; -- noqa: PRS

-- name: detach_file
-- Close the file.
DETACH ingest; -- noqa: PRS

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
