-- Events of every journey, and installations of the bot.

CREATE TABLE events (
    event_id TEXT PRIMARY KEY,
    correlation_id TEXT NOT NULL,
    -- Such as ingestion.completed.
    event_type TEXT NOT NULL,
    -- discord:message, ingestion:batch, bot:startup or system.
    channel TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id BIGINT,
    session_id TEXT,
    -- The Dagster run.
    run_id TEXT,
    data JSON NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- What events that are forgotten had counted.
CREATE TABLE event_totals (
    source TEXT NOT NULL,
    result TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (source, result)
);

-- Installations of the bot that were begun.
CREATE TABLE install_intents (
    intent_id TEXT PRIMARY KEY,
    -- SHA-256 of the secret state, in hex.
    state_digest TEXT NOT NULL,
    guild_id BIGINT,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ
);

CREATE INDEX events_by_journey ON events (correlation_id, created_at);
CREATE INDEX events_by_message ON events (message_id, created_at) WHERE message_id IS NOT NULL;
CREATE INDEX events_by_time ON events (channel, created_at);
CREATE UNIQUE INDEX install_intents_by_state ON install_intents (state_digest);
