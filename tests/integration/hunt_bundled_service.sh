#!/usr/bin/env bash
# scripts/hunt alone: the heap leak of the bundled service is rank 1 by growth and the socket leak rank 1 among the
# handles, each with function, file and the very line.
#
#   hunt_bundled_service.sh BUILD_DIR
set -u

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
export LEAKHUNT_BUILD_DIR=$1
readonly source_dir report=$LEAKHUNT_BUILD_DIR/stage/bin/leakhunt-report
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

expect() {  # what it means, a command that must succeed
  local what=$1
  shift
  "$@" && { echo "ok    $what"; return; }
  echo "FAIL  $what"
  failures=$((failures + 1))
}

line_of() { grep -n "$1" "$source_dir/tests/programs/leaky_server/$2" | head -n 1 | cut -d: -f1; }
leak_line=$(line_of 'new AuditEntry{}' handlers.cc)
quote_line=$(line_of 'upstream = ConnectToLoopback' handlers.cc)

"$source_dir/scripts/hunt" --seconds 12 >report.txt 2>hunt.log || { cat report.txt hunt.log; echo "FAIL  scripts/hunt"; exit 1; }
"$report" top-sites leakhunt-data --sort growth --format json >sites.json || failures=$((failures + 1))
"$report" handles leakhunt-data --format json >handles.json || failures=$((failures + 1))
cat report.txt

in_first_site() {  # JSON file, function, line
  jq -e --arg f "$2" --argjson l "$3" \
    '.sites[0].stack | map(select(((.function // "") | test($f)) and .line == $l)) | length > 0' "$1" >/dev/null
}
expect "the leaking handler is rank 1 by growth, at handlers.cc:$leak_line" in_first_site sites.json handle_report "$leak_line"
expect "the socket leak is rank 1 in handles, at handlers.cc:$quote_line" in_first_site handles.json handle_quote "$quote_line"
expect "its type is tcp" jq -e '.sites[0].type == "tcp"' handles.json >/dev/null
expect "the text report shows both" \
  bash -c "grep -q 'handle_report' report.txt && grep -q 'handle_quote' report.txt && grep -q 'handlers.cc:$leak_line' report.txt"

# 8 % of the requests are drafts, each 4064 bytes: the truth must be within the limits that the report gives, widened by
# half because this is one draw.
requests=$(sed -n 's/^\([0-9]*\) requests in .*/\1/p' hunt.log)
expect "its live bytes match the drafts that were sent" jq -e --argjson n "${requests:-0}" \
  '.sites[0].live_bytes | ($n * 0.08 * 4064) as $truth |
   (.value - 1.5 * (.value - .low)) <= $truth and $truth <= (.value + 1.5 * (.high - .value))' sites.json >/dev/null
busy=$(sed -n 's/.* s, \([0-9]*\) of them refused as busy.*/\1/p' hunt.log)
expect "as many sockets are open as answers were busy" jq -e --argjson n "${busy:-0}" '.sites[0].open == $n' handles.json >/dev/null

[ $failures -eq 0 ] || { tail -n 5 hunt.log; exit 1; }
