-- The change feed: what happened to which messages, in the order in which it can be read. A row is a batch of
-- one transaction: its changes have the positions from first_position on, in the order of discord_ids.
CREATE TABLE message_changes (
    first_position BIGINT PRIMARY KEY,
    last_position BIGINT NOT NULL,
    change TEXT NOT NULL,
    discord_ids BIGINT [] NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);

-- The feed itself, one row: what tells it from that of another database, and what is added to ids of transactions on
-- PostgreSQL. A copied database has a feed of its own.
CREATE TABLE change_feeds (
    feed_id TEXT PRIMARY KEY,
    xid_shift BIGINT NOT NULL,
    -- Where the search index in the database stands, and its form; null without any.
    indexed_form INTEGER,
    indexed_position BIGINT
);
INSERT INTO change_feeds (feed_id, xid_shift) VALUES (gen_random_uuid()::TEXT, 0);

-- Messages of before come first, as new ones.
INSERT INTO message_changes
SELECT min(n), max(n), 'created', array_agg(discord_id ORDER BY discord_id), max(created_at)
FROM (
    SELECT discord_id, created_at, row_number() OVER (ORDER BY discord_id) AS n FROM messages
) AS numbered
GROUP BY n - (n - 1) % 20000
ORDER BY min(n);
