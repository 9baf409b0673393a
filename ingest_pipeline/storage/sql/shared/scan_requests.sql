-- name: request_scan
-- Ask for a scan run; one that is asked for already stays so.
INSERT INTO scan_requests (scan_run_id, requested_at)
VALUES ($scan_run_id::TEXT, $requested_at::TIMESTAMPTZ)
ON CONFLICT (scan_run_id) DO NOTHING;

-- name: requested_runs
-- Scan runs that were asked for and can still be read, the first asked for first.
SELECT r.*
FROM scan_requests AS q
INNER JOIN scan_runs AS r ON r.scan_run_id = q.scan_run_id
WHERE r.status IN ('queued', 'running', 'failed', 'blocked')
ORDER BY q.requested_at, q.scan_run_id;

-- name: drop_requests
-- Forget some requests, and those of runs that are over or gone.
DELETE FROM scan_requests
WHERE
    scan_run_id IN (SELECT unnest($scan_run_ids::TEXT[]))
    OR scan_run_id NOT IN (
        SELECT scan_run_id FROM scan_runs WHERE status IN ('queued', 'running', 'failed', 'blocked')
    );
