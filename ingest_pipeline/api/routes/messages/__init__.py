"""Routes of messages and of what was found in them."""
