-- What the gateway bot remembers: messages to read again, channels it watches, windows it touched.

-- Messages of which an event told that they changed, and not everything that they are now.
CREATE TABLE pending_reads (
    message_id BIGINT PRIMARY KEY,
    channel_id BIGINT NOT NULL,
    guild_id BIGINT,
    first_event_at TIMESTAMPTZ NOT NULL,
    last_event_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    tries INTEGER NOT NULL,
    error TEXT
);

-- Channels whose events the bot takes.
CREATE TABLE watched_channels (
    channel_id BIGINT PRIMARY KEY,
    guild_id BIGINT NOT NULL,
    watched_from TIMESTAMPTZ NOT NULL,
    -- Changes since then may have been missed; null when none can have been.
    missed_since TIMESTAMPTZ,
    -- When it was last found that some may have been.
    noted_at TIMESTAMPTZ
);

-- Windows of sessions that the bot wrote to and that Dagster has not been told of yet.
CREATE TABLE touched_windows (
    session_id TEXT NOT NULL,
    window_key TEXT NOT NULL,
    touched_at TIMESTAMPTZ NOT NULL,
    -- The tick that was last about to tell Dagster; null when none was since the last touch.
    ticket TEXT,
    PRIMARY KEY (session_id, window_key)
);
