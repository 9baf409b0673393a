-- Which version of the normaliser read the messages of an interval; null for those of before it was noted.
ALTER TABLE coverage ADD COLUMN reader_version INTEGER;
