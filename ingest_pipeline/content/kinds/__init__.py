"""The built-in kinds of content, a module each."""
