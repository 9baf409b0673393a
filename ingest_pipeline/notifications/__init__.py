"""Notifications: what rules report, their texts, and delivery by `apprise`."""
