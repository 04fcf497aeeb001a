#!/usr/bin/env bash
# What a person types and reads: help, versions, exit codes, one-line errors, and a command that runs whatever happens.
#
#   command_line.sh PREFIX
set -u

readonly prefix=$1
readonly collect=$prefix/bin/leakhunt-collect report=$prefix/bin/leakhunt-report
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# check WHAT STATUS COMMAND...: runs it, keeps out and err, compares the exit status.
check() {
  local what=$1 expected=$2 status
  shift 2
  timeout 30 "$@" >out 2>err </dev/null
  status=$?
  if [ $status -eq "$expected" ]; then
    echo "ok    $what"
  else
    echo "FAIL  $what: exit status $status, expected $expected"; head -n 5 out err | sed 's/^/        /'
    failures=$((failures + 1))
  fi
}

expect() {  # what it means, a command that must succeed
  local what=$1
  shift
  "$@" && { echo "ok    $what"; return; }
  echo "FAIL  $what"; head -n 5 out err | sed 's/^/        /'
  failures=$((failures + 1))
}

one_line() { [ "$(wc -l <"$1")" -eq 1 ]; }
run=("$collect" --quiet --output "$work/data" --socket "$work/socket" --)

for program in "$collect" "$report"; do
  name=$(basename "$program")
  check "$name --help" 0 "$program" --help
  expect "$name --help is on stdout" test -s out
  check "$name --version" 0 "$program" --version
  expect "$name --version names itself and a number" grep -qE "^$name [0-9]+\.[0-9]+" out
  check "$name refuses an unknown option" 2 "$program" --no-such-option
  expect "$name says so in one line on stderr" one_line err
  expect "$name says who speaks" grep -q "^$name: " err
done

check "the command's status is the exit status" 42 "${run[@]}" sh -c 'exit 42'
check "128+N when signal N ended it" 137 "${run[@]}" sh -c 'kill -9 $$'
check "127: not found" 127 "${run[@]}" "$work/no-such-program"
expect "in one line" one_line err
touch plain-file
check "126: not executable" 126 "${run[@]}" "$work/plain-file"
expect "in one line" one_line err
check "125: a bad option before the command" 125 "$collect" --no-such-option -- true
check "no command after --" 125 "$collect" --
check "a program's streams are its own" 0 "${run[@]}" sh -c 'echo out; echo err >&2'
expect "stdout is untouched" test "$(cat out)" = out
expect "stderr is untouched" test "$(cat err)" = err
check "the first descriptor a program opens is 3" 0 "${run[@]}" sh -c 'exec 3</dev/null && readlink /proc/self/fd/3'

check "a report of it" 0 "$report" top-sites "$work/data"
expect "with private directories" test "$(stat -c %a "$work/data"/*/ | sort -u)" = 700
expect "and private files" test "$(stat -c %a "$work/data"/*/*.lhs | sort -u)" = 600
check "an absent recording" 1 "$report" top-sites "$work/absent"
expect "in one line" one_line err
check "an unknown command" 2 "$report" no-such-command
whole=$(find "$work/data" -name '*.lhs' | head -n 1)
head -c $(($(stat -c %s "$whole") - 20)) "$whole" >torn.lhs
check "a torn file" 1 "$report" top-sites torn.lhs
expect "in one line that names it" grep -q '^leakhunt-report: .*torn\.lhs.*' err
echo "not a snapshot" >foreign.lhs
check "a foreign file" 1 "$report" top-sites foreign.lhs
expect "in one line" one_line err

# An empty PATH part of LD_PRELOAD, a collector that cannot start, a bad value: the program runs on.
library=$(find "$prefix"/lib* -name libleakhunt.so | head -n 1)
check "preloaded without a collector" 5 env LD_PRELOAD="$library" LEAKHUNT_COLLECTOR=off sh -c 'echo fine; exit 5'
expect "nothing is said" test ! -s err
check "a bad value costs one line" 0 env LD_PRELOAD="$library" LEAKHUNT_COLLECTOR=off LEAKHUNT_BUDGET=lots ls plain-file
expect "one line" one_line err
check "a socket that leads nowhere" 0 env LD_PRELOAD="$library" LEAKHUNT_COLLECTOR=connect LEAKHUNT_SOCKET="$work/none" true
expect "is told in one line" one_line err
check "unless lines are off" 0 env LD_PRELOAD="$library" LEAKHUNT_COLLECTOR=connect LEAKHUNT_SOCKET="$work/none" LEAKHUNT_LOG=off true
expect "then nothing is said" test ! -s err

[ $failures -eq 0 ]
