-- name: overwrite_deleted
-- Write zeros over what is deleted.
PRAGMA secure_delete = ON;

-- name: has_table
-- Whether there is a table of this name.
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $table;

-- name: list_quoting
-- Entries with text in Markdown.
SELECT id, {field} AS entry FROM {table} WHERE {field} LIKE '%"md_str"%';

-- name: replace_entry
-- Write an entry again.
UPDATE {table} SET {field} = $entry WHERE id = $id;

-- name: vacuum_log
-- Write the file anew, without what is free in it.
VACUUM;

-- name: empty_log
-- Empty the write-ahead log.
PRAGMA wal_checkpoint(TRUNCATE);
