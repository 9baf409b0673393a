-- name: configure_session
-- Show times in UTC and cut them into minutes and days of UTC.
SET TimeZone = 'UTC';

-- name: load_rows
-- Take rows for a table from the client's memory.
INSERT INTO {table} ({columns}) SELECT {columns} FROM loaded_rows;
