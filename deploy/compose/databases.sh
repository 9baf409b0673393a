#!/bin/bash
# Run once by the image of PostgreSQL, in an empty volume: the pipeline's user and its two databases, one for
# messages and one for Dagster. The user owns them and is no superuser.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --set password="$POSTGRES_PASSWORD" --username postgres <<'SQL'
CREATE ROLE ingest LOGIN PASSWORD :'password';
CREATE DATABASE ingest OWNER ingest ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE dagster OWNER ingest ENCODING 'UTF8' TEMPLATE template0;
SQL
