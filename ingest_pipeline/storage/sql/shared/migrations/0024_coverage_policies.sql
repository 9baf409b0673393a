-- Whether the reading of an interval took messages that have media and no words; null for those of before it was
-- noted.
ALTER TABLE coverage ADD COLUMN keeps_media BOOLEAN;
