#!/usr/bin/env bash
# A preloaded program without a collector starts one, loses nothing however short it lives, and notices nothing of it: no
# child, no open pipe, no change of its status. Many at once share one collector, which leaves after the last.
#
#   auto_start.sh PREFIX PROGRAMS_DIR
set -u

readonly prefix=$1 programs=$2
library=$(find "$prefix"/lib* -name libleakhunt.so | head -n 1)
work=$(mktemp -d) || exit 1
trap 'collectors | xargs -r kill; rm -rf "$work"' EXIT
unset "${!LEAKHUNT_@}"
export LEAKHUNT_SOCKET=$work/socket LEAKHUNT_OUTPUT=$work/data LEAKHUNT_SAMPLE_BYTES=1
failures=0

# The collectors of this test, by the output directory in their environment.
collectors() {
  local pid
  for pid in $(pgrep -x leakhunt-collec); do
    grep -qzx "LEAKHUNT_OUTPUT=$work/data" "/proc/$pid/environ" && echo "$pid"
  done 2>/dev/null  # one may end while it is looked at
}

expect() {  # what it means, a command that must succeed
  local what=$1
  shift
  "$@" && { echo "ok    $what"; return; }
  echo "FAIL  $what"
  failures=$((failures + 1))
}

# within SECONDS COMMAND...: tries until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

recordings() { [ "$(find "$work/data" -name '*.lhs' -printf '%h\n' 2>/dev/null | sort -u | wc -l)" -ge "$1" ]; }
no_collector() { [ -z "$(collectors)" ]; }
live_blocks() {
  "$prefix/bin/leakhunt-report" top-sites "$work/data" --format json |
    jq -e '.totals.live_bytes.value == 4800 and .totals.live_count.value == 100' >/dev/null
}

LD_PRELOAD=$library "$programs/heap_exit_early" >"$work/out" 2>&1
expect "the status is the program's" test $? -eq 7
expect "nothing is printed" test ! -s "$work/out"
expect "a program of a millisecond is recorded" within 15 recordings 1
expect "with all of its blocks" live_blocks
expect "the collector leaves after its last client" within 30 no_collector

began=$SECONDS
LD_PRELOAD=$library sh -c 'echo through the pipe' | cat >"$work/out"
expect "a pipe ends when the program does" test $((SECONDS - began)) -le 3 -a "$(cat "$work/out")" = "through the pipe"
expect "the program sees no child" test "$(LD_PRELOAD=$library sh -c 'sleep 0.3; ps --ppid $$ -o comm= | grep -c leakhunt')" = 0
expect "the descriptors of the program are its own" \
  test "$(LD_PRELOAD=$library bash -c 'exec {fd}</dev/null; echo $fd')" = "$(bash -c 'exec {fd}</dev/null; echo $fd')"
expect "that collector leaves too" within 30 no_collector

rm -rf "$work/data"
for _ in $(seq 20); do LD_PRELOAD=$library "$programs/heap_realloc_zero" >/dev/null & done
wait
one_collector() { [ "$(collectors | wc -l)" -le 1 ]; }
expect "twenty at once share one collector" within 5 one_collector
expect "and are all recorded" within 30 recordings 20
expect "it leaves as well" within 30 no_collector

[ $failures -eq 0 ]
