"""The gateway bot: listening, spooling, merging and catching up."""
