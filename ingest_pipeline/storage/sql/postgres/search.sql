-- name: lock_search
-- Let one transaction at a time bring the search index up to date.
SELECT pg_advisory_xact_lock(1768842617, 0);

-- name: forget_searchable
-- Take messages out of the index, with their earlier versions.
DELETE FROM searchable_messages WHERE discord_id IN (SELECT unnest($discord_ids::BIGINT[]));

-- name: keep_searchable
-- Put versions of messages into the index; version 0 is what a message says now.
INSERT INTO searchable_messages (discord_id, version, words)
SELECT
    unnest($discord_ids::BIGINT[]) AS discord_id,
    unnest($versions::BIGINT[]) AS version,
    unnest($texts::TEXT[])::TSVECTOR AS words;

-- name: clear_searchable
-- Empty the index.
DELETE FROM searchable_messages;

-- name: find_current
-- Messages that match, newest first, below an id.
SELECT discord_id
FROM searchable_messages
WHERE version = 0 AND words @@ $query::TEXT::TSQUERY AND discord_id < $before::BIGINT
ORDER BY discord_id DESC
LIMIT $maximum::BIGINT;

-- name: find_any_version
-- Messages of which any version matches, newest first, below an id.
SELECT DISTINCT discord_id
FROM searchable_messages
WHERE words @@ $query::TEXT::TSQUERY AND discord_id < $before::BIGINT
ORDER BY discord_id DESC
LIMIT $maximum::BIGINT;

-- name: rank_current
-- Messages that match, the best first.
SELECT discord_id
FROM searchable_messages
WHERE version = 0 AND words @@ $query::TEXT::TSQUERY
ORDER BY ts_rank_cd(words, $query::TEXT::TSQUERY) DESC, discord_id DESC
LIMIT $maximum::BIGINT OFFSET $skipped::BIGINT;
