"""The one path of messages: documents read, normalised and merged, whatever brought them."""
