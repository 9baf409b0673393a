-- name: lock_migrations
-- Nothing to do: a writer holds the whole file.
SELECT 1 AS held;

-- name: lock_staged
-- Nothing to do: a writer holds the whole file.
SELECT 1 AS held;

-- name: lock_ids
-- Nothing to do: a writer holds the whole file.
SELECT len($discord_ids::BIGINT[]) AS held;

-- name: lock_sessions
-- Nothing to do: a writer holds the whole file.
SELECT 1 AS held;

-- name: share_sessions
-- Nothing to do: a writer holds the whole file.
SELECT 1 AS held;

-- name: lock_manifests
-- Nothing to do: a writer holds the whole file.
SELECT 1 AS held;

-- name: lock_coverage
-- Nothing to do: a writer holds the whole file.
SELECT $channel_id::BIGINT AS held;
