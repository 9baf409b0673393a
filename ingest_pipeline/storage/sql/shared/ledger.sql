-- name: absorb_proofs
-- Forget a channel's intervals that lie wholly inside (low, high].
-- Where history was read by a version that left words out, or under a policy that left media out, only history read
-- again has all of them.
DELETE FROM coverage
WHERE
    channel_id = $channel_id::BIGINT
    AND low >= $low::BIGINT
    AND high <= $high::BIGINT
    AND (
        $source::TEXT = 'history'
        OR source <> 'history'
        OR (coalesce(reader_version, 0) >= $first_reader_of_words::INTEGER AND coalesce(keeps_media, FALSE))
    );

-- name: read_by_another_version
-- Up to which id another version or under another policy has read what the same journey now proves from the same id.
SELECT max(high) AS high
FROM coverage
WHERE
    channel_id = $channel_id::BIGINT
    AND low = $low::BIGINT
    AND high < $high::BIGINT
    AND source = $source::TEXT
    AND correlation_id = $correlation_id::TEXT
    AND (
        reader_version IS DISTINCT FROM $reader_version::INTEGER
        OR keeps_media IS DISTINCT FROM $keeps_media::BOOLEAN
    );

-- name: find_joined
-- The bounds of an interval with those that it overlaps or touches, read by the same source, version and policy.
SELECT least(min(low), $low::BIGINT) AS low, greatest(max(high), $high::BIGINT) AS high
FROM coverage
WHERE
    channel_id = $channel_id::BIGINT
    AND low <= $high::BIGINT
    AND high >= $low::BIGINT
    AND source = $source::TEXT
    AND reader_version IS NOT DISTINCT FROM $reader_version::INTEGER
    AND keeps_media IS NOT DISTINCT FROM $keeps_media::BOOLEAN
HAVING count(*) > 0;

-- name: insert_proof
-- Record one interval.
INSERT INTO coverage (channel_id, low, high, source, observed_at, correlation_id, reader_version, keeps_media)
VALUES (
    $channel_id::BIGINT, $low::BIGINT, $high::BIGINT,
    $source::TEXT, $observed_at::TIMESTAMPTZ, $correlation_id::TEXT, $reader_version::INTEGER, $keeps_media::BOOLEAN
)
-- Only an interval that is not to be forgotten can be there still.
ON CONFLICT (channel_id, low, high) DO NOTHING;

-- name: list_proofs
-- A channel's intervals in order.
SELECT channel_id, low, high, source, observed_at, correlation_id, reader_version, keeps_media
FROM coverage
WHERE channel_id = $channel_id::BIGINT
ORDER BY low, high;

-- name: find_gaps
-- The parts of (low, high] that no interval of the channel proves, in order.
WITH clipped AS (
    SELECT greatest(low, $low::BIGINT) AS low, least(high, $high::BIGINT) AS high
    FROM coverage
    WHERE channel_id = $channel_id::BIGINT AND high > $low::BIGINT AND low < $high::BIGINT
    UNION ALL
    -- An empty interval at either end makes the space before the first and after the last a gap as well.
    SELECT $low::BIGINT, $low::BIGINT
    UNION ALL
    SELECT $high::BIGINT, $high::BIGINT
),
reached AS (
    SELECT
        low,
        max(high) OVER (ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
    FROM clipped
)
SELECT reach AS low, low AS high
FROM reached
WHERE low > reach
ORDER BY low;

-- name: ledger_mark
-- What differs whenever something was proven or sealed, or a session was changed or ended.
SELECT
    proven.n, proven.ids, proven.observed_at,
    known.n AS sessions, known.ended, known.updated_at,
    sealed.n AS manifests, sealed.sealed_at
FROM (
    SELECT count(*) AS n, sum(high - low)::TEXT AS ids, max(observed_at) AS observed_at FROM coverage
) AS proven
CROSS JOIN (
    SELECT
        count(*) AS n,
        count(*) FILTER (WHERE end_time <= $settled::TIMESTAMPTZ) AS ended,
        max(updated_at) AS updated_at
    FROM sessions
) AS known
CROSS JOIN (SELECT count(*) AS n, max(sealed_at) AS sealed_at FROM session_manifests) AS sealed;

-- name: coverage_of_sessions
-- How many ids of each session are proven, in all its channels, and when the newest proof was read.
WITH wanted AS (
    SELECT
        unnest($session_ids::TEXT[]) AS session_id,
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($lows::BIGINT[]) AS low,
        unnest($highs::BIGINT[]) AS high
)
SELECT
    wanted.session_id,
    sum(least(coverage.high, wanted.high) - greatest(coverage.low, wanted.low))::TEXT AS ids,
    max(coverage.observed_at) AS observed_at
FROM wanted
INNER JOIN coverage
    ON
        wanted.channel_id = coverage.channel_id
        AND wanted.low < coverage.high
        AND wanted.high > coverage.low
GROUP BY wanted.session_id;
