-- Nothing to do: DuckDB has no triggers, and one writer, which is this program.
SELECT 1;
