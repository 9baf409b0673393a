-- name: count_rows
-- Count the rows of a table.
SELECT count(*) AS n FROM {table};

-- name: list_message_sources
-- Which messages are stored, and how each was first read.
SELECT discord_id, source FROM messages;
