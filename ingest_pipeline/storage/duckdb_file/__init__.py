"""The DuckDB file below SQL: what a killed writer may leave torn in it, put back from copies."""
