#!/usr/bin/env bash
# Mappings are counted as the program made them, alone and beside a library that makes them by syscall(2).
#
#   mappings.sh PREFIX PROGRAMS_DIR
set -u

readonly prefix=$1 programs=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

check() {  # what it means, LD_PRELOAD
  local status truth found
  truth=$(LD_PRELOAD=$2 "$prefix/bin/leakhunt-collect" --quiet --sample-bytes 1 --socket "$work/socket" \
    --output "$work/$1" -- "$programs/mapping_churn")
  status=$?
  found=$("$prefix/bin/leakhunt-report" top-sites "$work/$1" --format json --limit 0 |
    jq -r '[.sites[] | select(.kind == "mmap" and any(.stack[]; .function == "main"))] |
           "\(map(.live_bytes.value) | add) \(map(.live_count.value) | add)"')
  [ $status -eq 0 ] && [ -n "$truth" ] && [ "$found" = "$truth" ] && { echo "ok    $1: $found"; return; }
  echo "FAIL  $1: exit status $status, found '$found', the program says '$truth'"
  failures=$((failures + 1))
}

check "alone" ""
check "by syscall" "$(find "$programs" -name libinterposer.so)"

[ $failures -eq 0 ]
