"""What has landed, merged again without Discord."""
