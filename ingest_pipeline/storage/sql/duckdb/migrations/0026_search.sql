-- Nothing to do: on DuckDB the search index is a file of its own beside the database.
SELECT 1;
