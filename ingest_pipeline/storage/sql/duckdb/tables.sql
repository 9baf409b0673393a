-- name: list_columns
-- Every column of every table, with its place in the table's primary key.
SELECT c.table_name, c.column_name, c.data_type, k.ordinal_position AS key_position
FROM information_schema.columns AS c
INNER JOIN information_schema.tables AS t
    ON t.table_catalog = c.table_catalog AND t.table_schema = c.table_schema AND t.table_name = c.table_name
LEFT JOIN information_schema.table_constraints AS p
    ON
        p.table_schema = c.table_schema
        AND p.table_name = c.table_name
        AND p.constraint_type = 'PRIMARY KEY'
LEFT JOIN information_schema.key_column_usage AS k
    ON
        k.constraint_schema = p.constraint_schema
        AND k.constraint_name = p.constraint_name
        AND k.table_name = c.table_name
        AND k.column_name = c.column_name
WHERE
    c.table_catalog = current_database()
    AND c.table_schema = current_schema()
    AND t.table_type = 'BASE TABLE'
ORDER BY c.table_name, c.ordinal_position;

-- name: list_references
-- Which tables have rows that need rows of another table.
SELECT DISTINCT table_name, referenced_table AS needed_table
FROM duckdb_constraints()
WHERE
    constraint_type = 'FOREIGN KEY'
    AND table_name <> referenced_table
    AND database_name = current_database()
    AND schema_name = current_schema();

-- name: list_names
-- Every name in the schema that a table, view or index of ours could collide with.
SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()
UNION
SELECT index_name FROM duckdb_indexes() WHERE schema_name = current_schema();

-- name: migrations_columns
-- The columns of the table that keeps the schema's history; none when it is not there yet.
SELECT column_name
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'schema_migrations';
