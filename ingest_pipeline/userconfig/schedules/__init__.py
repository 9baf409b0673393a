"""Schedules of sessions, out of files, addresses, Discord and exchanges, and the subscriptions to them."""
