-- What the messages say. Every row names its message and the version of the parser that read it.

-- Team radio: who speaks, as written and as data/drivers.yaml knows him, and what is said.
CREATE TABLE radio_messages (
    discord_id BIGINT PRIMARY KEY,
    driver TEXT NOT NULL,
    radio_text TEXT NOT NULL,
    -- Null for a driver whom the table does not know.
    driver_code TEXT,
    driver_name TEXT,
    driver_number INTEGER,
    driver_team TEXT,
    -- The season of the entry that was found; null where the table has no seasons.
    driver_season INTEGER,
    parser_version INTEGER NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL
);

-- Trade setups: one row for each planned trade.
CREATE TABLE trade_setups (
    discord_id BIGINT NOT NULL,
    line_number INTEGER NOT NULL,
    ticker TEXT NOT NULL,
    trading_day DATE,
    kind TEXT NOT NULL,
    direction TEXT NOT NULL,
    aggressiveness TEXT,
    -- A single level, or else a zone.
    trigger_price DECIMAL(17, 8),
    zone_low DECIMAL(17, 8),
    zone_high DECIMAL(17, 8),
    stop_price DECIMAL(17, 8),
    -- A JSON array of decimals as strings, in the order written.
    targets JSON NOT NULL,
    -- Whether a target stands on the wrong side of the level, which is probably a slip.
    has_suspect_targets BOOLEAN NOT NULL,
    label TEXT NOT NULL,
    parser_version INTEGER NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, line_number)
);

-- What is expected of a ticker or, without one, of the market.
CREATE TABLE ticker_biases (
    discord_id BIGINT NOT NULL,
    line_number INTEGER NOT NULL,
    ticker TEXT,
    trading_day DATE,
    bias_text TEXT NOT NULL,
    -- bullish, bearish or neutral, where the text says so outright.
    stance TEXT,
    parser_version INTEGER NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, line_number)
);

-- Lines of trade-setups messages that are nothing known, and headers whose day cannot be told.
CREATE TABLE unparsed_lines (
    discord_id BIGINT NOT NULL,
    line_number INTEGER NOT NULL,
    ticker TEXT,
    line_text TEXT NOT NULL,
    reason TEXT NOT NULL,
    parser_version INTEGER NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, line_number)
);

-- Videos, uploaded with a message or linked by it.
CREATE TABLE clips (
    discord_id BIGINT NOT NULL,
    -- From 1, in the message's order.
    clip_number INTEGER NOT NULL,
    -- The address without its signature: the same at every read.
    clip_key TEXT NOT NULL,
    origin TEXT NOT NULL,
    url TEXT NOT NULL,
    file_name TEXT,
    content_type TEXT,
    size_bytes BIGINT,
    expires_at TIMESTAMPTZ,
    parser_version INTEGER NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, clip_number)
);

-- The bytes of clips that were fetched, or why they could not be. They outlive the message.
CREATE TABLE clip_files (
    discord_id BIGINT NOT NULL,
    clip_key TEXT NOT NULL,
    -- Of the bytes, in hex; names the file.
    sha256 TEXT,
    stored_bytes BIGINT,
    file_path TEXT,
    problem TEXT,
    fetched_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, clip_key)
);

-- Messages that some signal of the highlight rule speaks for, candidates or not.
CREATE TABLE highlights (
    discord_id BIGINT PRIMARY KEY,
    score DOUBLE PRECISION NOT NULL,
    is_candidate BOOLEAN NOT NULL,
    -- A JSON array of texts, the largest part of the score first.
    reasons JSON NOT NULL,
    rule_version INTEGER NOT NULL,
    -- Tells weights and keywords of different settings apart.
    rule_digest TEXT NOT NULL,
    extracted_at TIMESTAMPTZ NOT NULL
);

-- How many messages a minute were usual when a session's highlights were last scored as a whole.
CREATE TABLE session_rates (
    session_id TEXT NOT NULL,
    channel_id BIGINT NOT NULL,
    usual_per_minute DOUBLE PRECISION NOT NULL,
    rule_digest TEXT NOT NULL,
    PRIMARY KEY (session_id, channel_id)
);
