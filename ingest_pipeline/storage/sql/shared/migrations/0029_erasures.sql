-- What was erased, by keyed digests: whatever comes of it again is not taken.
CREATE TABLE erasures (
    -- message, author, channel, guild; or deleted: a message that was deleted on Discord.
    subject TEXT NOT NULL,
    -- HMAC-SHA256 of the subject and its id, 32 hexadecimal digits of it.
    digest TEXT NOT NULL,
    -- Messages with lower ids are erased; null for all, later ones too.
    before_id BIGINT,
    erased_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (subject, digest)
);

-- The keys of the digests: one, made with the first erasure, and those of databases that were joined.
CREATE TABLE erasure_keys (
    -- The beginning of the key's SHA-256.
    key_id TEXT PRIMARY KEY,
    -- In hexadecimal digits.
    secret TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
