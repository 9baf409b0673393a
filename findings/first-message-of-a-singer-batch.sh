#!/usr/bin/env bash
# target-duckdb 0.8.0 with DuckDB 2.0.1: the first message of a batch is lost when its time has an offset.
#
# Expected: a Singer target stores each record that it acknowledges, and a time as the moment that it names.
# Seen: of two messages one is stored, and the state for both is written, so that no later run brings the other. The
# target makes a TIMESTAMP column of "format": "date-time" and loads each batch as a CSV file without a header and
# without `header false`. DuckDB looks for a header itself: text with an offset is no TIMESTAMP to it, so the first
# line must be one. The same COPY in DuckDB alone loses the line in 1.3.2, 1.4.4, 1.5.6 and 2.0.1; with the column
# TIMESTAMPTZ, or the time without an offset, or `header false`, nothing is lost. The offset itself is dropped: 15:00
# in Melbourne is stored as 15:00, not as 04:00 UTC.
# Who feeds this target writes times in UTC without an offset ("2026-03-08T04:00:00.123456").
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check target-duckdb==0.8.0 duckdb==2.0.1

messages() { # the time of the first message, the time of the second one
  printf '%s\n' '{"type": "SCHEMA", "stream": "messages", "key_properties": ["message_id"], "schema": {"type": "object",
    "properties": {"message_id": {"type": "integer"}, "posted_at": {"type": "string", "format": "date-time"}}}}' |
    tr '\n' ' '
  printf '\n{"type": "RECORD", "stream": "messages", "record": {"message_id": %s, "posted_at": "%s"}}' \
    1479900000000000001 "$1" 1479900000000000003 "$2"
  printf '\n{"type": "STATE", "value": {"read": 2}}\n'
}

load() { # the database's name; messages on standard input
  printf '{"path": "%s", "default_target_schema": "main"}' "$folder/$1.duckdb" > "$folder/$1.json"
  "$folder/venv/bin/target-duckdb" --config "$folder/$1.json" 2> /dev/null
  "$folder/venv/bin/python" - "$folder/$1.duckdb" <<'PY'
import sys

import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as database:
    for message, posted in database.execute("SELECT message_id, posted_at FROM messages ORDER BY ALL").fetchall():
        print(message, posted)
PY
}

{
  echo "with an offset:"
  messages 2026-03-08T15:00:00.123456+11:00 2026-03-08T15:00:01.123456+11:00 | load offset
  echo "without:"
  messages 2026-03-08T04:00:00.123456 2026-03-08T04:00:01.123456 | load plain
} | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
with an offset:
{"read": 2}
1479900000000000003 2026-03-08 15:00:01.123456
without:
{"read": 2}
1479900000000000001 2026-03-08 04:00:00.123456
1479900000000000003 2026-03-08 04:00:01.123456
TEXT
echo "as described"
