-- What hangs on whose messages they are follows, whoever changed it.

-- When messages last became the session's, or ceased to be, without being read.
ALTER TABLE sessions ADD COLUMN members_changed_at TIMESTAMPTZ;

-- Messages whose session is another now, or has other values: what they say is to be read anew.
CREATE TABLE relinked_messages (
    discord_id BIGINT PRIMARY KEY
);

-- Version 8 linked messages anew and left what was made of them.
INSERT INTO relinked_messages (discord_id)
SELECT discord_id FROM messages WHERE session_id IS NOT NULL
UNION
SELECT discord_id FROM highlights;

-- Skipped messages at the time of sealing: a JSON object of their number by reason, and a SHA-256 over their
-- ids, digests and reasons in the order of ids. Null in versions of before they were sealed, too.
ALTER TABLE session_manifests ADD COLUMN skipped TEXT;
ALTER TABLE session_manifests ADD COLUMN skipped_digest TEXT;

-- Why a message of a manifest is kept as skipped; null for a row of messages.
ALTER TABLE sealed_messages ADD COLUMN skip_reason TEXT;
