"""The one path of messages: documents read, normalized and merged, whatever brought them."""
