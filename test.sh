#!/usr/bin/env bash
# Installs what is missing and runs the test suite. Arguments are passed to pytest:
#   ./test.sh --all                              slow tests as well: whole programs, kills, sweeps
#   ./test.sh ingest_pipeline_tests/unit -x      one folder, slow tests included
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

source scripts/bootstrap.sh
install_requirements requirements-dev.txt

# The tests bring settings of their own: settings for real data and real accounts in the caller's shell or
# .env must not reach them.
for name in $(compgen -e); do
  case $name in
    INGEST_* | DISCORD_* | DAGSTER_* | POLL_INTERVAL_SECONDS) unset "$name" ;;
  esac
done

# Compiled modules are kept whatever the shell says: hundreds of processes import the same ones.
unset PYTHONDONTWRITEBYTECODE

# Four processes for two cores: much of the time goes into waiting, for daemons, sensors and killed workers.
# The tests of a file stay together, since some share a running stack, and files run in their own order,
# the longest first: sorted by the number of their tests, the longest would come last.
exec "$venv_python" -m pytest -n 4 --dist loadfile --no-loadscope-reorder --durations=5 "$@" < /dev/null
