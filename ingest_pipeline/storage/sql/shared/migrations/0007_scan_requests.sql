-- Scan runs that somebody asked for and that nothing has read to its end since.
CREATE TABLE scan_requests (
    scan_run_id TEXT PRIMARY KEY,
    requested_at TIMESTAMPTZ NOT NULL
);
