-- name: lock_content
-- Nothing to do: whoever writes holds the whole file.
SELECT len($channel_ids::BIGINT[]) AS held;
