-- name: setting_overrides
-- What is set for some channels, for what they are in, and for their guilds; a null where nothing is.
SELECT
    c.channel_id, c.guild_id, g.settings AS guild_settings, c.settings AS own_settings,
    p.channel_id AS parent_id, p.settings AS parent_settings,
    q.channel_id AS grandparent_id, q.settings AS grandparent_settings
FROM channels AS c
LEFT JOIN guild_settings AS g ON g.guild_id = c.guild_id
LEFT JOIN channels AS p ON p.channel_id = c.parent_id
LEFT JOIN channels AS q ON q.channel_id = p.parent_id
WHERE c.channel_id IN (SELECT unnest($channel_ids::BIGINT[]));

-- name: channels_with_settings
-- The channels of a guild that something is set for.
SELECT channel_id FROM channels
WHERE guild_id = $guild_id::BIGINT AND settings <> '{}'
ORDER BY channel_id;

-- name: read_guild_settings
-- What is set for a guild.
SELECT settings FROM guild_settings WHERE guild_id = $guild_id::BIGINT;

-- name: save_guild_settings
-- Set what is set for a guild.
INSERT INTO guild_settings (guild_id, settings, updated_at)
VALUES ($guild_id::BIGINT, $settings::TEXT, $now::TIMESTAMPTZ)
ON CONFLICT (guild_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at;

-- name: hold_guild_settings
-- Keep others from setting anything for a guild until the end of the transaction.
INSERT INTO guild_settings (guild_id, settings, updated_at)
VALUES ($guild_id::BIGINT, '{}', $now::TIMESTAMPTZ)
ON CONFLICT (guild_id) DO UPDATE SET updated_at = excluded.updated_at;

-- name: read_channel_settings
-- What is set for a channel.
SELECT settings FROM channels WHERE channel_id = $channel_id::BIGINT;

-- name: save_channel_settings
-- Set what is set for a channel.
UPDATE channels
SET settings = $settings::TEXT, updated_at = $now::TIMESTAMPTZ
WHERE channel_id = $channel_id::BIGINT;

-- name: hold_channel_settings
-- Keep others from setting anything for a channel until the end of the transaction.
UPDATE channels SET updated_at = $now::TIMESTAMPTZ WHERE channel_id = $channel_id::BIGINT;
