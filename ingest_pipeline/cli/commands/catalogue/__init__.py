"""Commands on guilds and channels: their catalogue, settings and scans."""
