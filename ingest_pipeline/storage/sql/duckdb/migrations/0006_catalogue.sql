-- Users, settings of guilds, and what the stored messages tell of their channels. The engine has no
-- cascades: what belongs to a guild is removed with it by storage/catalogue/guilds.py.

-- When it was last said which of the guild's channels are monitored; null when never.
ALTER TABLE guilds ADD COLUMN monitors_chosen_at TIMESTAMPTZ;
UPDATE guilds SET monitors_chosen_at = created_at;

-- Who has written a message that is stored.
CREATE TABLE users (
    user_id BIGINT PRIMARY KEY,
    -- As with the newest of the messages.
    name TEXT,
    nickname TEXT,
    is_bot BOOLEAN NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- What a guild's channels take otherwise than the defaults say.
CREATE TABLE guild_settings (
    guild_id BIGINT PRIMARY KEY,
    -- A JSON object.
    settings TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Channels with what is stored of them.
CREATE VIEW channel_catalogue AS
SELECT
    c.channel_id, c.guild_id, c.parent_id, c.name, c.channel_type, c.is_nsfw, c.position, c.is_thread,
    c.is_archived, c.is_monitored, c.reading_state, c.settings, c.created_at, c.updated_at,
    GREATEST(c.last_message_id, m.last_message_id) AS last_message_id,
    GREATEST(c.last_activity_at, m.last_activity_at) AS last_activity_at,
    COALESCE(m.message_count, 0) AS message_count
FROM channels AS c
LEFT JOIN (
    SELECT
        channel_id,
        max(discord_id) AS last_message_id,
        max(posted_at) AS last_activity_at,
        count(*) FILTER (WHERE deleted_at IS NULL) AS message_count
    FROM messages
    GROUP BY channel_id
) AS m ON m.channel_id = c.channel_id;

-- Channels, patterns and imports may have come before their guild.
INSERT INTO guilds (guild_id, name, last_seen_at, created_at, updated_at)
SELECT guild_id, guild_id::TEXT, now(), now(), now()
FROM (
    SELECT guild_id FROM channels
    UNION
    SELECT guild_id FROM guild_monitors
    UNION
    SELECT guild_id FROM import_metadata
) AS named
ON CONFLICT (guild_id) DO NOTHING;
