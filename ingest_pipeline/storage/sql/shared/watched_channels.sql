-- name: watch_channels
-- Note channels as watched, each from the earliest time that was ever given for it.
INSERT INTO watched_channels (channel_id, guild_id, watched_from, missed_since, noted_at)
SELECT
    channel_id, guild_id, watched_from, watched_from, $now::TIMESTAMPTZ
FROM (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($guild_ids::BIGINT[]) AS guild_id,
        unnest($watched_from::TIMESTAMPTZ[]) AS watched_from
) AS given
ORDER BY channel_id
ON CONFLICT (channel_id) DO NOTHING;

-- name: record_gap
-- Note that changes in some watched channels may have been missed since a time.
UPDATE watched_channels
SET
    missed_since = least(coalesce(missed_since, $since::TIMESTAMPTZ), $since::TIMESTAMPTZ),
    noted_at = $now::TIMESTAMPTZ
WHERE channel_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: clear_gap
-- Note that a channel was read completely after a time.
UPDATE watched_channels
SET missed_since = NULL, noted_at = NULL
WHERE
    channel_id IN (SELECT unnest($channel_ids::BIGINT[]))
    AND missed_since IS NOT NULL
    AND noted_at <= $begun_at::TIMESTAMPTZ;

-- name: list_watched
-- Every channel that is or was watched.
SELECT channel_id, guild_id, watched_from, missed_since, noted_at
FROM watched_channels
ORDER BY channel_id;

-- name: coverage_bounds
-- The first and last id that any reading of each channel proves.
SELECT channel_id, min(low) AS low, max(high) AS high
FROM coverage
GROUP BY channel_id;
