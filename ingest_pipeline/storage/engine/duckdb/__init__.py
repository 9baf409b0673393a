"""DuckDB: connections, transactions, and the safety of its file."""
