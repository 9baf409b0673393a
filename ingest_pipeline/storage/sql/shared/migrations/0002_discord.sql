-- Guilds and channels, what is monitored, imports and their progress, sealed sessions.

CREATE TABLE guilds (
    guild_id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    icon TEXT,
    owner_id BIGINT,
    joined_at TIMESTAMPTZ,
    left_at TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Channels, categories, forums and threads.
CREATE TABLE channels (
    channel_id BIGINT PRIMARY KEY,
    guild_id BIGINT NOT NULL,
    parent_id BIGINT,
    name TEXT NOT NULL,
    channel_type TEXT NOT NULL,
    is_nsfw BOOLEAN NOT NULL,
    position INTEGER NOT NULL,
    is_thread BOOLEAN NOT NULL,
    is_archived BOOLEAN NOT NULL,
    is_monitored BOOLEAN NOT NULL,
    -- readable, no_history, forbidden, missing or unknown.
    reading_state TEXT NOT NULL,
    -- The newest message ever posted, which may be deleted by now.
    last_message_id BIGINT,
    last_activity_at TIMESTAMPTZ,
    -- A JSON object.
    settings TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Which channels of a guild are monitored: ids, or patterns of names such as *aplus-setups*.
CREATE TABLE guild_monitors (
    guild_id BIGINT NOT NULL,
    pattern TEXT NOT NULL,
    PRIMARY KEY (guild_id, pattern)
);

-- The import of each guild's history: running while it has a start and is not completed.
CREATE TABLE import_metadata (
    guild_id BIGINT PRIMARY KEY,
    import_completed BOOLEAN NOT NULL,
    import_date DATE NOT NULL,
    import_start_time TIMESTAMPTZ NOT NULL,
    import_end_time TIMESTAMPTZ,
    total_messages_imported BIGINT NOT NULL,
    correlation_id TEXT NOT NULL
);

-- Readings of one channel's history: ids in (lower_id, head_id], read up to cursor_id.
CREATE TABLE scan_runs (
    scan_run_id TEXT PRIMARY KEY,
    guild_id BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    -- import, catch_up, repair or seal.
    kind TEXT NOT NULL,
    -- queued, running, completed, failed, blocked or abandoned.
    status TEXT NOT NULL,
    lower_id BIGINT NOT NULL,
    head_id BIGINT,
    cursor_id BIGINT NOT NULL,
    messages_read BIGINT NOT NULL,
    rows_changed BIGINT NOT NULL,
    error TEXT,
    correlation_id TEXT NOT NULL,
    queued_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ
);

-- What a session held when it was sealed; a version for each time it had changed since.
CREATE TABLE session_manifests (
    session_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    channel_id BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    first_id BIGINT,
    last_id BIGINT,
    -- SHA-256 over the ids and digests in the order of ids.
    digest TEXT NOT NULL,
    -- How the session was read again before: history or export. Only history finds deletions.
    source TEXT NOT NULL,
    sealed_at TIMESTAMPTZ NOT NULL,
    -- A JSON object: ids added, removed and changed since the version before.
    changes TEXT NOT NULL,
    PRIMARY KEY (session_id, version, channel_id)
);

-- The messages of each session's newest manifest.
CREATE TABLE sealed_messages (
    session_id TEXT NOT NULL,
    channel_id BIGINT NOT NULL,
    discord_id BIGINT NOT NULL,
    content_digest BIGINT NOT NULL,
    PRIMARY KEY (session_id, discord_id)
);
