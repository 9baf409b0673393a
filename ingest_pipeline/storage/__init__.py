"""The database: one schema, one merge, on DuckDB and PostgreSQL."""
