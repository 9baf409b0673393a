"""The real-time bot under test: running it, traffic for it, and what is compared afterwards."""
