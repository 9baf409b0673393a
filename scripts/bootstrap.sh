# Sourced by start.sh, test.sh and bench.sh from the checkout's root: makes .venv what the pinned
# requirements say (bench.sh names another folder after that). Needs bash, Python 3.11 or newer with venv
# and pip, and a package registry that pip can reach.

venv=.venv
venv_python=$venv/bin/python

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "No Python 3.11 or newer found. Install one (Debian, Ubuntu: apt install python3 python3-venv;" >&2
  echo "macOS: brew install python@3.13), or name one: PYTHON=/path/to/python3 $0" >&2
  return 3
}

make_venv() {
  local python
  if "$venv_python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    return
  fi
  python=$(find_python)
  echo "Creating $venv with $("$python" --version) …"
  if ! "$python" -m venv --clear "$venv"; then
    echo "$python cannot make a virtual environment. Debian and Ubuntu: apt install python3-venv" >&2
    return 3
  fi
}

# What was installed last is kept as a copy, not as a digest: no tool for digests is on every system.
is_installed() {
  cat "$1" pyproject.toml 2>/dev/null | cmp -s - "$venv/installed-$1"
}

# show_progress FILE: how many of the file's packages pip has fetched, from what pip says; on a terminal in
# one line that changes.
show_progress() {
  local total fetched=0 line begin='' end='\n'
  total=$(grep -c '^[^ #]*==' "$1")
  if [ -t 1 ]; then
    begin='\r\033[K' end=''
  fi
  while IFS= read -r line; do
    case $line in
      Collecting* | Processing*)
        fetched=$((fetched + 1))
        if [ -t 1 ] || [ $((fetched % 20)) -eq 0 ]; then
          printf "$begin  fetched %d of about %d$end" "$fetched" "$total"
        fi
        ;;
      "Installing collected"*) printf "$begin  fetched %d, now unpacking them$end" "$fetched" ;;
    esac
  done
  printf "$begin"
}

# install_requirements FILE: FILE is requirements.txt, or requirements-dev.txt, which contains it.
install_requirements() {
  if [ -x "$venv_python" ] && is_installed "$1"; then
    return
  fi
  make_venv
  echo "Installing the packages pinned in $1 into $venv: about a minute the first time …"
  rm -f "$venv"/installed-*
  if ! PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv_python" -m pip install --no-input --progress-bar off \
    --require-hashes --requirement "$1" | show_progress "$1"; then
    echo "The packages could not be installed; what pip said is above. Without a network or behind a" >&2
    echo "mirror, set PIP_INDEX_URL (and PIP_CERT), then run $0 again: it goes on from there." >&2
    return 3
  fi
  "$venv_python" -m pip install --quiet --no-input --no-index --no-deps --no-build-isolation --editable .
  if [ "$1" != requirements.txt ]; then
    cat requirements.txt pyproject.toml > "$venv/installed-requirements.txt"
  fi
  cat "$1" pyproject.toml > "$venv/installed-$1"
  echo "Installed."
}
