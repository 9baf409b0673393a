-- name: accept_gap
-- Accept that a range of ids is not proven; the latest reason stands.
INSERT INTO accepted_gaps (channel_id, low, high, reason, accepted_at)
VALUES ($channel_id::BIGINT, $low::BIGINT, $high::BIGINT, $reason::TEXT, $accepted_at::TIMESTAMPTZ)
ON CONFLICT (channel_id, low, high) DO UPDATE SET
    reason = excluded.reason,
    accepted_at = excluded.accepted_at;

-- name: withdraw_accepted_gaps
-- Accept the ranges of a channel that touch (low, high] no more.
DELETE FROM accepted_gaps
WHERE channel_id = $channel_id::BIGINT AND low < $high::BIGINT AND high > $low::BIGINT;

-- name: list_accepted_gaps
-- The accepted ranges of a channel, or of all, in order.
SELECT channel_id, low, high, reason, accepted_at
FROM accepted_gaps
WHERE $channel_id::BIGINT IS NULL OR channel_id = $channel_id::BIGINT
ORDER BY channel_id, low, high;
