-- name: count_rows
-- Count the rows of a table.
SELECT count(*) AS n FROM {table};
