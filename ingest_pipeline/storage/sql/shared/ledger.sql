-- name: absorb_proofs
-- Forget a channel's intervals that lie wholly inside (low, high].
DELETE FROM coverage
WHERE channel_id = $channel_id::BIGINT AND low >= $low::BIGINT AND high <= $high::BIGINT;

-- name: insert_proof
-- Record one interval.
INSERT INTO coverage (channel_id, low, high, source, observed_at, correlation_id)
VALUES (
    $channel_id::BIGINT, $low::BIGINT, $high::BIGINT,
    $source::TEXT, $observed_at::TIMESTAMPTZ, $correlation_id::TEXT
);

-- name: list_proofs
-- A channel's intervals in order.
SELECT channel_id, low, high, source, observed_at, correlation_id
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
