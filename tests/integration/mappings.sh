#!/usr/bin/env bash
# Mappings are counted as the program made them, alone and beside a library that makes them by syscall(2); descriptors
# that such a library closes by range, too.
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
  found=$("$prefix/bin/leakhunt-report" top-sites "$work/$1" --snapshot end --format json --limit 0 |
    jq -r '[.sites[] | select(.kind == "mmap" and any(.stack[]; .function == "main"))] |
           "\(map(.reserved_bytes) | add) \(map(.live_count.value) | add)"')
  [ $status -eq 0 ] && [ -n "$truth" ] && [ "$found" = "$truth" ] && { echo "ok    $1: $found"; return; }
  echo "FAIL  $1: exit status $status, found '$found', the program says '$truth'"
  failures=$((failures + 1))
}

check_close_range() {
  local interposer found
  interposer=$(find "$programs" -name libinterposer.so)
  LD_PRELOAD=$interposer timeout 20 "$prefix/bin/leakhunt-collect" --quiet --socket "$work/socket" --output "$work/range" -- \
    "$programs/handle_surface" close_range >/dev/null || { echo "FAIL  close_range by syscall: exit status $?"; return 1; }
  found=$("$prefix/bin/leakhunt-report" handles "$work/range" --format json | jq '.totals.open + .totals.untracked')
  [ "$found" = 1 ] && { echo "ok    close_range by syscall: 1 left open"; return; }
  echo "FAIL  close_range by syscall: $found are said to be open, 1 is"
  return 1
}

check "alone" ""
check "by syscall" "$(find "$programs" -name libinterposer.so)"
check_close_range || failures=$((failures + 1))

[ $failures -eq 0 ]
