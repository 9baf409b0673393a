-- What was, or is to be, sent by notification rules: a row for each rule, address and subject, so that nothing is sent
-- twice. It holds no text of a message; that is read when it is sent.
CREATE TABLE notifications (
    rule TEXT NOT NULL,
    target TEXT NOT NULL,
    subject TEXT NOT NULL,
    message_id BIGINT,
    session_id TEXT,
    -- What the text is made of that no other table has, as JSON.
    data TEXT,
    happened_at TIMESTAMPTZ NOT NULL,
    queued_at TIMESTAMPTZ NOT NULL,
    -- waiting, sending, sent, failed, unknown (it was being sent when the process ended), expired, withdrawn
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- When it may be sent; of one that is being sent, when it counts as unknown.
    next_at TIMESTAMPTZ NOT NULL,
    -- What was sent together has one.
    delivery_id TEXT,
    claimed_at TIMESTAMPTZ,
    problem TEXT,
    PRIMARY KEY (rule, target, subject)
);
