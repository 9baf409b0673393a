#!/usr/bin/env bash
# Installs what is missing and runs the whole stack until Ctrl-C: `ingest start` in this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'TEXT'
Usage: ./start.sh [--demo] [--port 3000] [--api-port 8000] [--host 127.0.0.1] [--without-login]

Installs the pinned packages into .venv (once), then runs the web interface and the daemon that
polls live sessions, until Ctrl-C.

  --demo           a simulated live session, even when a token is set
  --port PORT      port of the web interface (default 3000)
  --api-port PORT  port of the HTTP interface and the live page (default 8000)
  --host HOST      address of both (default 127.0.0.1: this machine only)
  --without-login  let in everybody who reaches --host when that is an address of the network

Settings are read from .env; .env.example describes them. Without a Discord token the demo runs.
TEXT
}

for argument in "$@"; do
  case $argument in
    -h | --help)
      usage
      exit 0
      ;;
  esac
done

source scripts/bootstrap.sh
install_requirements requirements.txt

# .env is read there, by the parser that all services share: nothing in it is executed.
exec "$venv_python" -m ingest_pipeline.cli.app start "$@"
