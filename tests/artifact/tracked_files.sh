#!/usr/bin/env bash
# What must not be in the tree: paths of a machine it was written on, conflict marks, files that a build makes.
#
#   tracked_files.sh SOURCE_DIR
set -u

cd "$1" || exit 1
failures=0

expect_empty() {
  [ -z "$2" ] && { echo "ok    $1"; return; }
  echo "FAIL  $1:"
  printf '%s\n' "$2" | head -n 20 | sed 's/^/        /'
  failures=$((failures + 1))
}

files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z
  else
    find . -path ./build -prune -o -type f -print0
  fi
}

# This script and what git ignores name such paths by necessity.
search() { files | grep -zv 'tests/artifact/tracked_files.sh$' | xargs -0 grep -nIE "$1" -- /dev/null; }

expect_empty "no path of somebody's machine" "$(search '(^|[^A-Za-z0-9_./-])/(work|root|home)/[A-Za-z0-9_.]')"
expect_empty "no conflict marks" "$(search '^(<<<<<<<|>>>>>>>) ')"
expect_empty "no objects, archives or recordings outside tests/data" \
  "$(files | tr '\0' '\n' | grep -E '\.(o|a|so|lhs|pyc)$' | grep -v '^tests/data/')"
expect_empty "scripts are executable" \
  "$(files | tr '\0' '\n' | grep -E '\.(sh|py)$|^scripts/[a-z-]+$' | while read -r f; do
    head -c 2 "$f" 2>/dev/null | grep -q '#!' && [ ! -x "$f" ] && echo "$f"
  done)"

[ $failures -eq 0 ]
