"""Discord's REST interface and gateway."""
