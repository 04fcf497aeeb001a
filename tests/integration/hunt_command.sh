#!/usr/bin/env bash
# scripts/hunt CMD: the command's streams and status are its own, and a report follows.
#
#   hunt_command.sh BUILD_DIR
set -u

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
export LEAKHUNT_BUILD_DIR=$1 LEAKHUNT_SAMPLE_BYTES=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

expect() {  # what it means, a command that must succeed
  local what=$1
  shift
  "$@" && { echo "ok    $what"; return; }
  echo "FAIL  $what"; head -n 20 out err | sed 's/^/        /'
  failures=$((failures + 1))
}

leaker=$LEAKHUNT_BUILD_DIR/tests/programs/heap_exit_early
"$source_dir/scripts/hunt" "$leaker" >out 2>err </dev/null
expect "the exit status is the command's" test $? -eq 7
expect "the report names the leaking line" grep -q 'exit_early\.c:10' out

echo "one two three" | "$source_dir/scripts/hunt" --report report.txt --output other -- wc -w >out 2>err
expect "status 0" test $? -eq 0
expect "standard input and output are the command's" test "$(tr -d ' ' <out)" = 3
expect "the report is in the file" test -s report.txt
expect "the recording is where it was asked for" test -n "$(find other -name '*.lhs')"

for stream in stdout stderr; do
  echo "an earlier line" >log
  "$source_dir/scripts/hunt" --report "/dev/$stream" --output "log_$stream" -- echo "the command's line" >>log 2>&1 </dev/null
  cp log out
  expect "a log that $stream goes on with keeps what it had" test "$(head -n 2 log)" = "an earlier line
the command's line"
  expect "the report and the last word follow in it" test "$(grep -c -e 'handles open' -e '^hunt: the recording is in' log)" -ge 2
  expect "the last word comes last" grep -q '^hunt: the recording is in' <(tail -n 1 log)
done

"$source_dir/scripts/hunt" --output none no-such-command-anywhere >out 2>err </dev/null
expect "127 for a command that does not exist" test $? -eq 127
"$source_dir/scripts/hunt" --no-such-option >out 2>err </dev/null
expect "2 for an option that does not exist" test $? -eq 2

[ $failures -eq 0 ]
