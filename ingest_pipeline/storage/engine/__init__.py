"""Two engines, DuckDB and PostgreSQL, behind one protocol."""
