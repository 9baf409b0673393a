#!/usr/bin/env bash
# Pins every package, with the hashes of all its files, for the Python versions that pyproject.toml
# allows on Linux and macOS. Needs uv (pip install uv). Upgrades within pyproject.toml's bounds:
#   scripts/compile-requirements.sh --upgrade
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=$(command -v uv || echo .venv/bin/uv)

compile() {
  # setuptools: the project itself is installed without build isolation, so without a network.
  # An index of one's own in the configuration must not decide about hashes, hence --no-config.
  echo 'setuptools>=77' | "$uv" pip compile --quiet --no-config --universal --python-version 3.11 \
    --generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links "$@" pyproject.toml - > /dev/null
}

compile "$@" --output-file requirements.txt
compile "$@" --extra celery --constraint requirements.txt --output-file requirements-celery.txt
compile "$@" --extra kubernetes --constraint requirements.txt --output-file requirements-kubernetes.txt
compile "$@" --extra dev --extra celery --constraint requirements-celery.txt --output-file requirements-dev.txt
compile "$@" --extra dev --constraint requirements-dev.txt --output-file requirements-bench.txt benchmarks/requirements.in
