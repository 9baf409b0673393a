#!/usr/bin/env bash
# Three rules about files that no linter knows: nothing names a machine's paths or a package registry's
# address, no module of the package is longer than 350 lines, and no function longer than 60.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

longest=350
longest_function=60
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

files | grep '\.py$' | python3 -c '
import ast, os, sys
longest, found = int(sys.argv[1]), False
for path in filter(os.path.exists, sys.stdin.read().splitlines()):
    for node in ast.walk(ast.parse(open(path, encoding="utf-8").read())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > longest:
                found = True
                print(f"{path}:{node.lineno}: {node.name} has {lines} lines, more than {longest}")
sys.exit(found)
' "$longest_function" || status=1

[ "$status" -eq 0 ] && echo "no machine paths, no registry addresses, no module over $longest lines," \
  "no function over $longest_function"
exit "$status"
