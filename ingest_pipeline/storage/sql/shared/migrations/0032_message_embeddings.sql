-- Vectors of the words of messages, for semantic search, which is optional.
CREATE TABLE message_embeddings (
    discord_id BIGINT PRIMARY KEY,
    -- Vectors of different models cannot be compared.
    model TEXT NOT NULL,
    -- The MD5 of the message_text that the vector is of.
    text_digest TEXT NOT NULL,
    -- A signed byte for each number: only the direction counts. An array of PostgreSQL takes twelve times as long to
    -- be read or multiplied.
    vector BYTEA NOT NULL,
    made_at TIMESTAMPTZ NOT NULL
);
