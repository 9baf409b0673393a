"""Sessions, the membership of messages in them, and the schedules that announce them."""
