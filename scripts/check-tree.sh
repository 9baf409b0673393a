#!/usr/bin/env bash
# Two rules about files that no linter knows: nothing names a machine's paths or a package registry's
# address, and no module of the package is longer than 350 lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

longest=350
# The brackets keep the patterns from finding themselves.
paths='(^|[^A-Za-z0-9_.~/-])/([w]ork/|[r]oot/|[h]ome/[a-z]+/|[U]sers/[A-Za-z]+/|[o]pt/(wheels|pypi))'
registries='[p]ypi\.org|[p]ythonhosted|[r]egistry\.npmjs|[-]-(extra-)?index-url|[-]-find-links'

# What is or will be committed; a copy without git is searched as it is.
files() {
  git ls-files --cached --others --exclude-standard 2>/dev/null ||
    find . -type f -not -path './data/*' -not -path '*/__pycache__/*' -not -path '*.egg-info/*' \
      -not -path './.venv/*' -not -path './.git/*' -not -path './.hypothesis/*' -not -path './.*_cache/*'
}

status=0
while IFS= read -r file; do
  [ -f "$file" ] || continue
  if grep -HnIE -e "$paths" -e "$registries" "$file"; then
    status=1
  fi
  case $file in
    ingest_pipeline/*.py | ./ingest_pipeline/*.py)
      lines=$(wc -l < "$file")
      if [ "$lines" -gt "$longest" ]; then
        echo "$file: $lines lines, more than $longest"
        status=1
      fi
      ;;
  esac
done < <(files)

[ "$status" -eq 0 ] && echo "no machine paths, no registry addresses, no module over $longest lines"
exit "$status"
