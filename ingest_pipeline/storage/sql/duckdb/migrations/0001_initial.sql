-- Sessions, messages and what is proven about them.
-- No indexes but the keys: blocks are skipped by their minima and maxima, and two indexes on messages
-- made reading known messages again four times slower.

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    year INTEGER,
    round_number INTEGER,
    session_type TEXT,
    event_name TEXT,
    location TEXT,
    country TEXT,
    start_time TIMESTAMPTZ NOT NULL,
    end_time TIMESTAMPTZ NOT NULL,
    channel_ids BIGINT[] NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- One row for each message: its newest content, as that content was first read.
CREATE TABLE messages (
    discord_id BIGINT PRIMARY KEY,
    -- No foreign key: DuckDB has none that suits updates, and both engines shall behave alike.
    session_id TEXT,
    guild_id BIGINT,
    channel_id BIGINT NOT NULL,
    posted_at TIMESTAMPTZ NOT NULL,
    edited_at TIMESTAMPTZ,
    driver TEXT,
    author_id BIGINT,
    author_name TEXT,
    author_nickname TEXT,
    author_is_bot BOOLEAN NOT NULL,
    raw_content TEXT NOT NULL,
    message_text TEXT NOT NULL,
    message_type TEXT NOT NULL,
    is_pinned BOOLEAN NOT NULL,
    reference_id BIGINT,
    attachments JSON NOT NULL,
    attachment_count INTEGER NOT NULL,
    embeds JSON NOT NULL,
    embed_count INTEGER NOT NULL,
    stickers JSON NOT NULL,
    reactions JSON NOT NULL,
    reaction_count INTEGER NOT NULL,
    is_highlight_candidate BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    -- When this content was last read: with edited_at and content_digest, the version.
    observed_at TIMESTAMPTZ NOT NULL,
    content_digest BIGINT NOT NULL,
    correlation_id TEXT NOT NULL,
    -- When this content was first read: the reading that the row, its source and its correlation are of.
    first_observed_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE VIEW live_messages AS SELECT * FROM messages WHERE deleted_at IS NULL;

-- The other contents each message has had, or was read with out of order, as they were first read.
CREATE TABLE message_revisions (
    discord_id BIGINT NOT NULL,
    content_digest BIGINT NOT NULL,
    guild_id BIGINT,
    posted_at TIMESTAMPTZ NOT NULL,
    edited_at TIMESTAMPTZ,
    driver TEXT,
    author_id BIGINT,
    author_name TEXT,
    author_nickname TEXT,
    author_is_bot BOOLEAN NOT NULL,
    raw_content TEXT NOT NULL,
    message_text TEXT NOT NULL,
    message_type TEXT NOT NULL,
    is_pinned BOOLEAN NOT NULL,
    reference_id BIGINT,
    attachments JSON NOT NULL,
    attachment_count INTEGER NOT NULL,
    embeds JSON NOT NULL,
    embed_count INTEGER NOT NULL,
    stickers JSON NOT NULL,
    reactions JSON NOT NULL,
    reaction_count INTEGER NOT NULL,
    is_highlight_candidate BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    correlation_id TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, content_digest)
);

-- Deletions, also of messages that were never seen.
CREATE TABLE tombstones (
    discord_id BIGINT PRIMARY KEY,
    channel_id BIGINT NOT NULL,
    guild_id BIGINT,
    deleted_at TIMESTAMPTZ NOT NULL,
    source TEXT NOT NULL,
    correlation_id TEXT NOT NULL
);

-- The ledger: ids in (low, high] of a channel were read completely at observed_at.
CREATE TABLE coverage (
    channel_id BIGINT NOT NULL,
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    source TEXT NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    correlation_id TEXT NOT NULL,
    PRIMARY KEY (channel_id, low, high),
    CHECK (low < high)
);

-- Small facts the project keeps about itself.
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- How far a copy of another database into this one has come, table by table.
CREATE TABLE copy_progress (
    table_name TEXT PRIMARY KEY,
    position TEXT,
    copied_rows BIGINT NOT NULL
);
