"""The import of exports that people have."""
