-- Every word that a message carries, not its content alone.

-- Words besides the content, a JSON list of {"at": where, "text": words} in reading order, and of a forward what
-- is forwarded. Roles and emojis as exports name them; null where the source does not.
ALTER TABLE messages ADD COLUMN parts JSON;
ALTER TABLE messages ADD COLUMN forwarded JSON;
ALTER TABLE messages ADD COLUMN author_roles JSON;
ALTER TABLE messages ADD COLUMN inline_emojis JSON;
-- Which version of the normaliser made the row; null for those of before it had one.
ALTER TABLE messages ADD COLUMN normalizer_version INTEGER;
ALTER TABLE message_revisions ADD COLUMN parts JSON;
ALTER TABLE message_revisions ADD COLUMN forwarded JSON;
ALTER TABLE message_revisions ADD COLUMN author_roles JSON;
ALTER TABLE message_revisions ADD COLUMN inline_emojis JSON;
ALTER TABLE message_revisions ADD COLUMN normalizer_version INTEGER;
ALTER TABLE skipped_messages ADD COLUMN parts JSON;
ALTER TABLE skipped_messages ADD COLUMN forwarded JSON;
ALTER TABLE skipped_messages ADD COLUMN author_roles JSON;
ALTER TABLE skipped_messages ADD COLUMN inline_emojis JSON;
ALTER TABLE skipped_messages ADD COLUMN normalizer_version INTEGER;

CREATE OR REPLACE VIEW live_messages AS SELECT * FROM messages WHERE deleted_at IS NULL;

-- What the gateway and REST carry of a message and exports do not: components, a poll, facts of attachments. Every
-- such content, with the version of the reading that has it last. The highest version is the message's.
CREATE TABLE message_details (
    discord_id BIGINT NOT NULL,
    details_digest BIGINT NOT NULL,
    edited_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    -- Empty when a source that carries details has read that there are none any more.
    details JSON NOT NULL,
    parts JSON NOT NULL,
    -- The words of the parts; and, for a message without any others, who speaks and what is said.
    details_text TEXT NOT NULL,
    said_text TEXT NOT NULL,
    driver TEXT,
    PRIMARY KEY (discord_id, details_digest)
);

-- Messages whose text has the words of details in it: which, and what the row says without them.
CREATE TABLE composed_messages (
    discord_id BIGINT PRIMARY KEY,
    details_digest BIGINT NOT NULL,
    message_text TEXT NOT NULL,
    driver TEXT
);

-- The details that each message has now.
CREATE VIEW current_details AS
SELECT discord_id, details_digest, edited_at, observed_at, details, parts, details_text, said_text, driver
FROM (
    SELECT
        discord_id, details_digest, edited_at, observed_at, details, parts, details_text, said_text, driver,
        row_number() OVER (
            PARTITION BY discord_id ORDER BY edited_at DESC NULLS LAST, observed_at DESC, details_digest DESC
        ) AS version_rank
    FROM message_details
) AS ranked
WHERE version_rank = 1;
