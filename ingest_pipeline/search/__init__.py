"""Search in messages: queries, snippets and the completeness of an answer."""
