-- The tables of "Discord Bot Feature - Real-time Message Monitoring", as views, for programs that read those.

CREATE VIEW discord_channels AS
SELECT
    channel_id AS id,
    CAST(channel_id AS TEXT) AS channel_id,
    name AS channel_name,
    CAST(guild_id AS TEXT) AS guild_id,
    is_monitored,
    created_at,
    updated_at
FROM channels
WHERE channel_type <> 'category';

-- Content is extracted in the transaction that merges a message; what waits for it again is not processed.
CREATE VIEW discord_messages AS
SELECT
    discord_id AS id,
    CAST(discord_id AS TEXT) AS message_id,
    CAST(channel_id AS TEXT) AS channel_id,
    CAST(author_id AS TEXT) AS author_id,
    raw_content AS content,
    posted_at AS timestamp,
    discord_id NOT IN (SELECT discord_id FROM relinked_messages) AS processed,
    created_at
FROM messages
WHERE deleted_at IS NULL;

-- Events of the bot have the source that those notes ask for.
UPDATE events SET source = 'discord_bot' WHERE source = 'bot';
