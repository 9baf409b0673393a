-- name: find_role
-- Whether there is a role.
SELECT 1 AS found FROM pg_roles WHERE rolname = $role_name::TEXT;

-- name: where_tables_are
-- The database and the schema of the tables, and who writes them.
SELECT
    current_database()::TEXT AS database_name, current_schema()::TEXT AS schema_name, current_user::TEXT AS user_name;

-- name: create_reader
-- Make a role that can log in once it has a password.
CREATE ROLE {role} LOGIN;

-- name: let_connect
-- Let it connect.
GRANT CONNECT ON DATABASE {database} TO {role};

-- name: let_use
-- Let it see what the schema has.
GRANT USAGE ON SCHEMA {schema} TO {role};

-- name: let_read
-- Let it read all tables and views.
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};

-- name: let_read_later
-- And those that this user makes later.
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};

-- name: keep_secret
-- But not keys and digests of secrets.
REVOKE ALL ON {table} FROM {role};

-- name: begin_reading_only
-- Let its transactions read only unless they say otherwise; its rights stay the same.
ALTER ROLE {role} SET default_transaction_read_only = TRUE;

-- name: set_search_path
-- Let it find the tables without naming their schema.
ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};
