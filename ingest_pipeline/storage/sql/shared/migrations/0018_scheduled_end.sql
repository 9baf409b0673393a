-- When a session that went on should have ended; null for one that is as it was scheduled.
ALTER TABLE sessions ADD COLUMN scheduled_end TIMESTAMPTZ;
