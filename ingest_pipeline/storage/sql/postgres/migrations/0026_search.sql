-- What search looks in: the words of messages, cut by `domain/search_words.py`. Derived: it is made again from the
-- change feed whenever it is lost.
CREATE TABLE searchable_messages (
    discord_id BIGINT NOT NULL,
    -- 0 is what the message says now, others are digests of what it said before.
    version BIGINT NOT NULL,
    words TSVECTOR NOT NULL,
    PRIMARY KEY (discord_id, version)
);
CREATE INDEX searchable_messages_words ON searchable_messages USING gin (words);
