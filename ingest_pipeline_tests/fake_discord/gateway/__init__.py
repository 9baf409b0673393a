"""The gateway: a WebSocket with sessions, and what is delivered over it."""
