"""The search index: the words of messages, made from the change feed, on either engine."""
