-- Ranges of ids that no reading proves and that somebody has accepted as missing, with the reason.

CREATE TABLE accepted_gaps (
    channel_id BIGINT NOT NULL,
    low BIGINT NOT NULL, -- the id just below
    high BIGINT NOT NULL, -- the last id
    reason TEXT NOT NULL,
    accepted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (channel_id, low, high)
);
