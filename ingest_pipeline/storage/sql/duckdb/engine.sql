-- name: configure_session
-- Show times in UTC and cut them into minutes and days of UTC.
SET TimeZone = 'UTC';
