-- A burst depends on the minute and on what is usual, so it is kept apart from what speaks for a message itself:
-- when the usual rate moves, no message is scored again. The rule's version has risen with this, so that all
-- messages are scored once more.
DROP TABLE highlights;

-- What speaks for messages besides a burst.
CREATE TABLE highlight_signals (
    discord_id BIGINT PRIMARY KEY,
    session_id TEXT COLLATE "C",
    channel_id BIGINT NOT NULL,
    -- Thousandths of a score.
    points INTEGER NOT NULL,
    -- Thousandths that a burst must add to make a candidate; 0 or less makes one without.
    missing INTEGER NOT NULL,
    -- The highest usual rate with which its minute is burst enough; null when that decides nothing.
    flips_at DOUBLE PRECISION,
    -- A JSON array of texts, the largest part first.
    reasons JSON NOT NULL,
    rule_version INTEGER NOT NULL,
    -- Tells weights and keywords of different settings apart.
    rule_digest TEXT NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL
);

-- What a burst adds to the scores of all messages of a minute, by the messages of the minute.
CREATE TABLE session_bursts (
    session_id TEXT COLLATE "C" NOT NULL,
    channel_id BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    -- Thousandths of a score.
    points INTEGER NOT NULL,
    -- Thousandths that make a candidate.
    needed INTEGER NOT NULL,
    reasons JSON NOT NULL,
    rule_version INTEGER NOT NULL,
    rule_digest TEXT NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (session_id, channel_id, messages)
);

DROP TABLE session_rates;

-- How many messages a minute are usual in a session's channel: what its bursts are judged by.
CREATE TABLE session_rates (
    session_id TEXT COLLATE "C" NOT NULL,
    channel_id BIGINT NOT NULL,
    usual_per_minute DOUBLE PRECISION NOT NULL,
    rule_digest TEXT NOT NULL,
    -- The first and the last minute with messages, null when there is none.
    first_minute TIMESTAMPTZ,
    last_minute TIMESTAMPTZ,
    -- How many minutes have how many messages, as JSON; silent minutes are left out.
    minutes JSON NOT NULL,
    -- When the usual rate or the rule last changed.
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (session_id, channel_id)
);

-- The collation of `messages`: with another one no index is used where they are joined.
ALTER TABLE session_minutes ALTER COLUMN session_id TYPE TEXT COLLATE "C";

-- Live messages that some signal of the highlight rule speaks for, candidates or not.
CREATE VIEW highlights AS
SELECT
    m.discord_id,
    -- From 0 to the sum of the rule's weights.
    (coalesce(s.points, 0) + coalesce(b.points, 0))::DOUBLE PRECISION / 1000 AS score,
    coalesce(b.points, 0) >= coalesce(s.missing, b.needed) AS is_candidate,
    -- A JSON array of texts, the largest part first, a burst last.
    CASE
        WHEN b.points IS NULL THEN s.reasons
        WHEN coalesce(s.points, 0) = 0 THEN b.reasons
        ELSE
            (
                left(s.reasons::TEXT, length(s.reasons::TEXT) - 1) || ', '
                || right(b.reasons::TEXT, length(b.reasons::TEXT) - 1)
            )::JSON
    END AS reasons,
    coalesce(s.rule_version, b.rule_version) AS rule_version,
    coalesce(s.rule_digest, b.rule_digest) AS rule_digest,
    greatest(s.extracted_at, b.extracted_at) AS extracted_at
FROM live_messages AS m
LEFT JOIN highlight_signals AS s ON s.discord_id = m.discord_id
LEFT JOIN session_minutes AS k
    ON k.session_id = m.session_id AND k.channel_id = m.channel_id AND k.minute = date_trunc('minute', m.posted_at)
LEFT JOIN session_bursts AS b
    ON b.session_id = k.session_id AND b.channel_id = k.channel_id AND b.messages = k.messages
WHERE s.points > 0 OR b.points > 0;

-- For the messages that a moved usual rate makes candidates, or no longer.
CREATE INDEX highlight_signals_by_flip ON highlight_signals (session_id, channel_id, flips_at)
WHERE flips_at IS NOT NULL;
