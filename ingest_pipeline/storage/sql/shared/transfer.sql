-- name: read_first_page
-- The first rows of a table in the order of its key.
SELECT {columns} FROM {table} ORDER BY {key} LIMIT $maximum::BIGINT;

-- name: read_next_page
-- The rows of a table that come after a position in the order of its key.
SELECT {columns} FROM {table} WHERE ({key}) > ({position}) ORDER BY {key} LIMIT $maximum::BIGINT;

-- name: clear_table
-- Empty a table.
DELETE FROM {table};

-- name: list_copy_progress
-- How far each table has been copied.
SELECT table_name, position, copied_rows FROM copy_progress ORDER BY table_name;

-- name: find_copy_progress
-- How far one table has been copied.
SELECT copied_rows FROM copy_progress WHERE table_name = $table_name::TEXT;

-- name: set_copy_progress
-- Record how far a table has been copied.
INSERT INTO copy_progress (table_name, position, copied_rows)
VALUES ($table_name::TEXT, $position::TEXT, $copied_rows::BIGINT)
ON CONFLICT (table_name) DO UPDATE SET position = excluded.position, copied_rows = excluded.copied_rows;

-- name: end_copy
-- Forget the progress of a copy that is complete.
DELETE FROM copy_progress;
