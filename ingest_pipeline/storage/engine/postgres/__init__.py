"""PostgreSQL: connections, transactions and bulk loading."""
