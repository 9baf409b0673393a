"""Search: the words of texts and of queries."""
