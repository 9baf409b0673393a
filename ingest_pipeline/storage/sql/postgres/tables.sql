-- name: list_columns
-- Every column of every table, with its place in the table's primary key.
SELECT
    c.relname::TEXT AS table_name,
    a.attname::TEXT AS column_name,
    format_type(a.atttypid, a.atttypmod) AS data_type,
    array_position(i.indkey::SMALLINT[], a.attnum) AS key_position
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind = 'r' AND c.relnamespace = quote_ident(current_schema())::REGNAMESPACE
ORDER BY c.relname::TEXT COLLATE "C", a.attnum;

-- name: list_references
-- Which tables have rows that need rows of another table.
SELECT DISTINCT c.relname::TEXT AS table_name, n.relname::TEXT AS needed_table
FROM pg_constraint AS r
INNER JOIN pg_class AS c ON c.oid = r.conrelid
INNER JOIN pg_class AS n ON n.oid = r.confrelid
WHERE r.contype = 'f' AND r.conrelid <> r.confrelid AND c.relnamespace = quote_ident(current_schema())::REGNAMESPACE;

-- name: list_names
-- Every name in the schema that a table, view, index or type of ours could collide with.
SELECT relname::TEXT AS name FROM pg_class WHERE relnamespace = quote_ident(current_schema())::REGNAMESPACE
UNION
SELECT typname::TEXT FROM pg_type WHERE typnamespace = quote_ident(current_schema())::REGNAMESPACE;

-- name: migrations_columns
-- The columns of the table that keeps the schema's history; none when it is not there yet.
-- The information schema would hide it from a user who may not read it.
SELECT a.attname::TEXT AS column_name
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relname = 'schema_migrations' AND c.relnamespace = quote_ident(current_schema())::REGNAMESPACE;
