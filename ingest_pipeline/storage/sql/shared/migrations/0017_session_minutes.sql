-- Live messages of a session's channel by UTC minute, kept for every channel that `session_rates` has.
-- A minute may be counted as 0 when its messages were deleted.
CREATE TABLE session_minutes (
    session_id TEXT NOT NULL,
    channel_id BIGINT NOT NULL,
    minute TIMESTAMPTZ NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (session_id, channel_id, minute)
);

INSERT INTO session_minutes (session_id, channel_id, minute, messages)
SELECT session_id, channel_id, date_trunc('minute', posted_at), count(*)
FROM live_messages
WHERE (session_id, channel_id) IN (SELECT session_id, channel_id FROM session_rates)
GROUP BY 1, 2, 3;
