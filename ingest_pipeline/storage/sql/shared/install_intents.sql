-- name: insert_intent
-- Begin an installation.
INSERT INTO install_intents (intent_id, state_digest, guild_id, user_id, created_at, expires_at)
VALUES (
    $intent_id::TEXT, $state_digest::TEXT, $guild_id::BIGINT, $user_id::BIGINT,
    $created_at::TIMESTAMPTZ, $expires_at::TIMESTAMPTZ
);

-- name: use_intent
-- Use an intent that is open.
UPDATE install_intents
SET used_at = $now::TIMESTAMPTZ, installed_guild_id = $installed_guild_id::BIGINT
WHERE state_digest = $state_digest::TEXT AND used_at IS NULL AND expires_at > $now::TIMESTAMPTZ;

-- name: find_intent
-- One intent.
SELECT intent_id, guild_id, created_at, expires_at, used_at, user_id, installed_guild_id
FROM install_intents
WHERE intent_id = $intent_id::TEXT;

-- name: find_intent_by_state
-- The intent that a state belongs to.
SELECT intent_id, guild_id, created_at, expires_at, used_at, user_id, installed_guild_id
FROM install_intents
WHERE state_digest = $state_digest::TEXT;

-- name: expire_intent
-- Let an open intent end.
UPDATE install_intents
SET expires_at = $now::TIMESTAMPTZ
WHERE intent_id = $intent_id::TEXT AND used_at IS NULL AND expires_at > $now::TIMESTAMPTZ;

-- name: count_purgeable_intents
-- Count the intents that expired before a time.
SELECT count(*) AS n FROM install_intents WHERE expires_at < $before::TIMESTAMPTZ;

-- name: purge_intents
-- Delete the intents that expired before a time.
DELETE FROM install_intents WHERE expires_at < $before::TIMESTAMPTZ;
