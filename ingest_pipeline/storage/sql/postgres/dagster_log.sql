-- name: find_dagster_table
-- Whether Dagster's database has a table.
SELECT 1 AS found FROM pg_class WHERE oid = to_regclass($table::TEXT);

-- name: list_quoting
-- Entries of Dagster's log with text in Markdown.
SELECT id, {field} AS entry FROM {table} WHERE {field} LIKE '%"md_str"%';

-- name: replace_entry
-- Write an entry of Dagster's log again.
UPDATE {table} SET {field} = $entry::TEXT WHERE id = $id::BIGINT;
