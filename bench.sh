#!/usr/bin/env bash
# Installs the benchmarks' rivals into .venv-bench and measures. Arguments are passed on:
#   ./bench.sh bulk --sizes 1k 100k
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

source scripts/bootstrap.sh
venv=.venv-bench
venv_python=$venv/bin/python
install_requirements requirements-bench.txt

# Benchmarks bring settings of their own, like the tests.
for name in $(compgen -e); do
  case $name in
    INGEST_* | DISCORD_* | DAGSTER_* | POLL_INTERVAL_SECONDS) unset "$name" ;;
  esac
done

exec "$venv_python" -m benchmarks "$@" < /dev/null
