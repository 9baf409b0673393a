-- name: save_guild
-- Keep a guild as it is now; one that was left is there again.
INSERT INTO guilds (
    guild_id, name, icon, owner_id, joined_at, left_at, last_seen_at, created_at, updated_at
)
VALUES (
    $guild_id::BIGINT, $name::TEXT, $icon::TEXT, $owner_id::BIGINT, $joined_at::TIMESTAMPTZ,
    NULL, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
)
ON CONFLICT (guild_id) DO UPDATE SET
    name = excluded.name,
    icon = excluded.icon,
    owner_id = coalesce(excluded.owner_id, guilds.owner_id),
    joined_at = coalesce(excluded.joined_at, guilds.joined_at),
    left_at = NULL,
    last_seen_at = excluded.last_seen_at,
    updated_at = CASE
        WHEN
            guilds.left_at IS NULL
            AND guilds.name = excluded.name
            AND guilds.icon IS NOT DISTINCT FROM excluded.icon
            AND guilds.owner_id IS NOT DISTINCT FROM coalesce(excluded.owner_id, guilds.owner_id)
            AND guilds.joined_at IS NOT DISTINCT FROM coalesce(excluded.joined_at, guilds.joined_at)
            THEN guilds.updated_at
        ELSE excluded.updated_at
    END;

-- name: name_guilds
-- Make sure that guilds are there before what belongs to them; new ones are not known yet.
INSERT INTO guilds (guild_id, name, last_seen_at, created_at, updated_at)
SELECT given.guild_id, given.guild_id::TEXT, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM (SELECT DISTINCT unnest($guild_ids::BIGINT[]) AS guild_id) AS given
ORDER BY given.guild_id
ON CONFLICT (guild_id) DO NOTHING;

-- name: mark_guild_left
-- Note that the bot is not in a guild any more.
UPDATE guilds
SET left_at = $now::TIMESTAMPTZ, updated_at = $now::TIMESTAMPTZ
WHERE guild_id = $guild_id::BIGINT AND left_at IS NULL;

-- name: shut_channels
-- Note that the channels of a guild that the bot has left cannot be read; those that are gone stay gone.
UPDATE channels
SET reading_state = 'forbidden', updated_at = $now::TIMESTAMPTZ
WHERE guild_id = $guild_id::BIGINT AND reading_state NOT IN ('forbidden', 'missing');

-- name: delete_guild_channels
-- Forget a guild's channels.
DELETE FROM channels WHERE guild_id = $guild_id::BIGINT;

-- name: delete_guild_settings
-- Forget a guild's settings.
DELETE FROM guild_settings WHERE guild_id = $guild_id::BIGINT;

-- name: delete_guild_import
-- Forget the import of a guild's history.
DELETE FROM import_metadata WHERE guild_id = $guild_id::BIGINT;

-- name: delete_guild
-- Forget a guild.
DELETE FROM guilds WHERE guild_id = $guild_id::BIGINT;

-- name: list_guilds
-- All guilds by name, those that were left last.
SELECT
    g.guild_id, g.name, g.icon,
    -- As Discord says of a guild that the bot was in, or else as exports do.
    CASE
        WHEN g.icon IS NOT NULL
            THEN
                'https://cdn.discordapp.com/icons/' || g.guild_id::TEXT || '/' || g.icon
                || CASE WHEN substr(g.icon, 1, 2) = 'a_' THEN '.gif' ELSE '.png' END
        WHEN g.joined_at IS NULL THEN nullif(p.picture_url, '')
    END AS icon_url,
    g.owner_id, g.joined_at, g.left_at, g.last_seen_at, g.created_at, g.updated_at
FROM guilds AS g
LEFT JOIN profiles AS p ON p.kind = 'guild' AND p.entity_id = g.guild_id
ORDER BY g.left_at IS NOT NULL, g.name, g.guild_id;

-- name: find_guild
-- One guild.
SELECT
    g.guild_id, g.name, g.icon,
    -- As Discord says of a guild that the bot was in, or else as exports do.
    CASE
        WHEN g.icon IS NOT NULL
            THEN
                'https://cdn.discordapp.com/icons/' || g.guild_id::TEXT || '/' || g.icon
                || CASE WHEN substr(g.icon, 1, 2) = 'a_' THEN '.gif' ELSE '.png' END
        WHEN g.joined_at IS NULL THEN nullif(p.picture_url, '')
    END AS icon_url,
    g.owner_id, g.joined_at, g.left_at, g.last_seen_at, g.monitors_chosen_at, g.created_at, g.updated_at
FROM guilds AS g
LEFT JOIN profiles AS p ON p.kind = 'guild' AND p.entity_id = g.guild_id
WHERE g.guild_id = $guild_id::BIGINT;

-- name: save_channels
-- Keep channels as they are now. The newest message known stays, and so does a state that is not given.
INSERT INTO channels (
    channel_id, guild_id, parent_id, name, channel_type, is_nsfw, position, is_thread, is_archived,
    is_monitored, reading_state, last_message_id, last_activity_at, settings, created_at, updated_at
)
SELECT
    channel_id, guild_id, parent_id, name, channel_type, is_nsfw, place, is_thread, is_archived,
    FALSE, reading_state, last_message_id, last_activity_at, '{}', $now::TIMESTAMPTZ, $now::TIMESTAMPTZ
FROM (
    SELECT
        unnest($channel_ids::BIGINT[]) AS channel_id,
        unnest($guild_ids::BIGINT[]) AS guild_id,
        unnest($parent_ids::BIGINT[]) AS parent_id,
        unnest($names::TEXT[]) AS name,
        unnest($channel_types::TEXT[]) AS channel_type,
        unnest($are_nsfw::BOOLEAN[]) AS is_nsfw,
        unnest($positions::INTEGER[]) AS place,
        unnest($are_threads::BOOLEAN[]) AS is_thread,
        unnest($are_archived::BOOLEAN[]) AS is_archived,
        unnest($reading_states::TEXT[]) AS reading_state,
        unnest($last_message_ids::BIGINT[]) AS last_message_id,
        unnest($last_activity_ats::TIMESTAMPTZ[]) AS last_activity_at
) AS given
ORDER BY channel_id
ON CONFLICT (channel_id) DO UPDATE SET
    guild_id = excluded.guild_id,
    parent_id = excluded.parent_id,
    name = excluded.name,
    channel_type = excluded.channel_type,
    is_nsfw = excluded.is_nsfw,
    position = excluded.position,
    is_thread = excluded.is_thread,
    is_archived = excluded.is_archived,
    reading_state = CASE excluded.reading_state
        WHEN 'unknown' THEN channels.reading_state
        ELSE excluded.reading_state
    END,
    last_message_id = greatest(channels.last_message_id, excluded.last_message_id),
    last_activity_at = greatest(channels.last_activity_at, excluded.last_activity_at),
    updated_at = excluded.updated_at
WHERE
    channels.guild_id <> excluded.guild_id
    OR channels.parent_id IS DISTINCT FROM excluded.parent_id
    OR channels.name <> excluded.name
    OR channels.channel_type <> excluded.channel_type
    OR channels.is_nsfw <> excluded.is_nsfw
    OR channels.position <> excluded.position
    OR channels.is_archived <> excluded.is_archived
    OR (excluded.reading_state <> 'unknown' AND channels.reading_state <> excluded.reading_state)
    OR coalesce(excluded.last_message_id > coalesce(channels.last_message_id, 0), FALSE);

-- name: mark_channels_missing
-- Note which of a guild's channels a complete listing did not show any more.
UPDATE channels
SET reading_state = 'missing', updated_at = $now::TIMESTAMPTZ
WHERE
    guild_id = $guild_id::BIGINT
    AND reading_state <> 'missing'
    AND channel_id NOT IN (SELECT unnest($seen_ids::BIGINT[]))
    -- Threads of channels that were not listed whole may still be there.
    AND (NOT is_thread OR parent_id IS NULL OR parent_id NOT IN (SELECT unnest($unlisted_ids::BIGINT[])));

-- name: set_reading_state
-- Note whether a channel's history can be read.
UPDATE channels
SET reading_state = $reading_state::TEXT, updated_at = $now::TIMESTAMPTZ
WHERE channel_id = $channel_id::BIGINT AND reading_state <> $reading_state::TEXT;

-- name: note_activity
-- Note a message that was posted in a channel.
UPDATE channels
SET last_message_id = $message_id::BIGINT, last_activity_at = $posted_at::TIMESTAMPTZ
WHERE channel_id = $channel_id::BIGINT AND coalesce(last_message_id, 0) < $message_id::BIGINT;

-- name: list_channels
-- Channels by their position, threads last; every guild's when guild_id is null.
SELECT
    channel_id, guild_id, name, channel_type, parent_id, is_nsfw, position, is_archived, reading_state,
    last_message_id, is_monitored
FROM channels
WHERE $guild_id::BIGINT IS NULL OR guild_id = $guild_id::BIGINT
ORDER BY guild_id, is_thread, position, channel_id;

-- name: find_channel
-- One channel.
SELECT
    channel_id, guild_id, name, channel_type, parent_id, is_nsfw, position, is_archived, reading_state,
    last_message_id, is_monitored
FROM channels
WHERE channel_id = $channel_id::BIGINT;

-- name: describe_channels
-- Channels with what is stored of them by their position, threads last; those of a guild, or one.
SELECT
    channel_id, guild_id, parent_id, name, channel_type, is_nsfw, position, is_thread, is_archived,
    is_monitored, reading_state, last_message_id, last_activity_at, message_count, settings,
    created_at, updated_at
FROM channel_catalogue
WHERE
    ($guild_id::BIGINT IS NULL OR guild_id = $guild_id::BIGINT)
    AND ($channel_id::BIGINT IS NULL OR channel_id = $channel_id::BIGINT)
ORDER BY guild_id, is_thread, position, channel_id;

-- name: set_monitored
-- Mark these of a guild's channels as monitored, and no others.
UPDATE channels
SET
    is_monitored = channel_id IN (SELECT unnest($channel_ids::BIGINT[])),
    updated_at = $now::TIMESTAMPTZ
WHERE
    guild_id = $guild_id::BIGINT
    AND is_monitored <> (channel_id IN (SELECT unnest($channel_ids::BIGINT[])));

-- name: list_monitor_patterns
-- A guild's patterns.
SELECT pattern FROM guild_monitors WHERE guild_id = $guild_id::BIGINT ORDER BY pattern;

-- name: delete_guild_monitor_patterns
-- Forget a guild's patterns.
DELETE FROM guild_monitors WHERE guild_id = $guild_id::BIGINT;

-- name: mark_monitors_chosen
-- Note that a guild's patterns were chosen.
UPDATE guilds SET monitors_chosen_at = $now::TIMESTAMPTZ WHERE guild_id = $guild_id::BIGINT;

-- name: insert_monitor_patterns
-- Give a guild patterns.
INSERT INTO guild_monitors (guild_id, pattern)
SELECT $guild_id::BIGINT, pattern
FROM (SELECT unnest($patterns::TEXT[]) AS pattern) AS given;
