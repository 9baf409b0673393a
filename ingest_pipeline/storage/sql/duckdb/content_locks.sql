-- name: lock_content
-- Nothing to do: a writer holds the whole file.
SELECT len($channel_ids::BIGINT[]) AS held;
