"""Channel history over Discord's REST API: scan plans, resumable scans, catch-up."""
