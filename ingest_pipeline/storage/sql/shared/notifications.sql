-- name: queue_notifications
-- Note what is to be sent, unless it was noted before.
INSERT INTO notifications (
    rule, target, subject, message_id, session_id, data, happened_at, queued_at, state, attempts, next_at
)
SELECT
    unnest($rules::TEXT[]), unnest($targets::TEXT[]), unnest($subjects::TEXT[]), unnest($message_ids::BIGINT[]),
    unnest($session_ids::TEXT[]), unnest($data::TEXT[]), unnest($happened_ats::TIMESTAMPTZ[]),
    $now::TIMESTAMPTZ, 'waiting', 0, $now::TIMESTAMPTZ
ON CONFLICT (rule, target, subject) DO NOTHING;

-- name: hold_notifications
-- Let other processes wait until this transaction ends.
UPDATE state SET value = value WHERE key = $key::TEXT;

-- name: known_notifications
-- The subjects among some that rules have reported.
SELECT DISTINCT rule, subject FROM notifications WHERE subject IN (SELECT unnest($subjects::TEXT[]));

-- name: next_notification
-- When something is to be done next.
SELECT min(next_at) AS next_at FROM notifications WHERE state IN ('waiting', 'sending');

-- name: due_notifications
-- What may be sent now, the oldest first.
SELECT
    rule, target, subject, message_id, session_id, data, happened_at, attempts, delivery_id,
    attempts = 0 AND next_at > queued_at AS is_held
FROM notifications
WHERE state = 'waiting' AND next_at <= $now::TIMESTAMPTZ
ORDER BY happened_at, subject, rule, target;

-- name: recent_deliveries
-- How often something was sent since a time, and when first, by rule and address.
SELECT rule, target, count(DISTINCT delivery_id) AS deliveries, min(claimed_at) AS first_at
FROM notifications
WHERE claimed_at > $since::TIMESTAMPTZ
GROUP BY rule, target;

-- name: move_notifications
-- Change the state of what waits of a rule at an address about some subjects.
UPDATE notifications
SET
    state = $state::TEXT,
    attempts = attempts + $attempts::INTEGER,
    next_at = $next_at::TIMESTAMPTZ,
    delivery_id = coalesce($delivery_id::TEXT, delivery_id),
    claimed_at = coalesce($claimed_at::TIMESTAMPTZ, claimed_at)
WHERE
    rule = $rule::TEXT
    AND target = $target::TEXT
    AND subject IN (SELECT unnest($subjects::TEXT[]))
    AND state = 'waiting';

-- name: settle_notifications
-- Note what became of what was sent together.
UPDATE notifications
SET state = $state::TEXT, next_at = $next_at::TIMESTAMPTZ, problem = $problem::TEXT
WHERE delivery_id = $delivery_id::TEXT AND state = 'sending';

-- name: abandon_notifications
-- Leave what was being sent when its process ended: it may have arrived.
UPDATE notifications SET state = 'unknown' WHERE state = 'sending' AND next_at <= $now::TIMESTAMPTZ;

-- name: expire_notifications
-- Give up what has waited for too long.
UPDATE notifications SET state = 'expired' WHERE state = 'waiting' AND queued_at < $before::TIMESTAMPTZ;

-- name: forget_notifications
-- Forget what was sent long ago.
DELETE FROM notifications WHERE queued_at < $before::TIMESTAMPTZ AND state NOT IN ('waiting', 'sending');

-- name: count_notifications
-- How many there are by rule, address and state, with the last problem.
SELECT rule, target, state, count(*) AS n, max(claimed_at) AS last_at, max(problem) AS problem
FROM notifications
GROUP BY rule, target, state
ORDER BY rule, target, state;
