"""Routes of guilds and channels: the catalogue, installations and scans."""
