"""Commands of operation: services, the database, checks, notifications and erasure."""
