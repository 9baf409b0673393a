"""The one path of messages: documents read, normalized and merged, from every source."""
