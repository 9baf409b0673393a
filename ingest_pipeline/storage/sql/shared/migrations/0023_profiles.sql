-- How users, roles, channels and guilds are called, and their pictures, as readings of messages tell.

CREATE TABLE profiles (
    -- user, role, channel or guild.
    kind TEXT NOT NULL,
    entity_id BIGINT NOT NULL,
    name TEXT,
    -- What a user is called in the guild, and everywhere; null where no source has told, empty where there is none.
    display_name TEXT,
    global_name TEXT,
    -- The address of an avatar or icon; null and empty likewise.
    picture_url TEXT,
    observed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (kind, entity_id)
);

-- Authors of stored messages, and users whom readings only mention.
CREATE VIEW user_catalogue AS
SELECT
    coalesce(u.user_id, p.entity_id) AS user_id,
    coalesce(u.name, p.name) AS name,
    coalesce(u.nickname, p.display_name) AS nickname,
    nullif(p.global_name, '') AS global_name,
    nullif(p.picture_url, '') AS avatar_url,
    u.is_bot,
    u.first_seen_at,
    u.last_seen_at
FROM users AS u
FULL OUTER JOIN (SELECT * FROM profiles WHERE kind = 'user') AS p ON p.entity_id = u.user_id;
