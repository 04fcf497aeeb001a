#!/usr/bin/env bash
# scripts/docker-entrypoint: wraps a command, and runs it bare with one warning when leakhunt cannot help.
#
#   docker_entrypoint.sh PREFIX
set -u

work=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
chmod 1777 "$work"  # one case runs as another user
cp -a "$1" "$work/prefix" || exit 1
cd "$work" || exit 1
readonly entrypoint=$work/prefix/libexec/leakhunt/docker-entrypoint
unset "${!LEAKHUNT_@}" LD_PRELOAD
export LEAKHUNT_SOCKET=$work/socket
failures=0

# try WHAT STATUS RECORDED(yes|no) WARNINGS COMMAND...: the command must print "answer" on stdout and nothing else there.
try() {
  local what=$1 status=$2 recorded=$3 warnings=$4 got
  shift 4
  rm -rf "$work/data"
  timeout 30 "$@" >out 2>err </dev/null
  got=$?
  [ $got -eq "$status" ] && [ "$(cat out)" = answer ] && [ "$(wc -l <err)" -eq "$warnings" ] &&
    [ "$(find "$work/data" -name '*.lhs' 2>/dev/null | grep -q . && echo yes || echo no)" = "$recorded" ] &&
    { echo "ok    $what"; return; }
  echo "FAIL  $what: exit status $got, expected $status; recorded: expected $recorded"
  head -n 5 out err | sed 's/^/        /'
  failures=$((failures + 1))
}

answer=(sh -c 'echo answer; exit 6')
export LEAKHUNT_OUTPUT=$work/data
try "records, and passes the exit status" 6 yes 0 "$entrypoint" "${answer[@]}"
try "passes 128+N of a signal" 143 yes 0 "$entrypoint" sh -c 'echo answer; kill -TERM $$'
try "with shells in between" 6 yes 0 sh -c "exec \"\$@\"" sh "$entrypoint" sh -c 'sh -c "echo answer"; exit 6'
try "with options in the environment" 6 yes 0 env LEAKHUNT_INTERVAL=1s LEAKHUNT_SAMPLE_BYTES=1 LEAKHUNT_BUDGET=2% \
  LEAKHUNT_OPTIONS="--max-disk 10M" "$entrypoint" "${answer[@]}"
other=$(find /usr/lib -name libjemalloc.so.2 | head -n 1)
try "with LD_PRELOAD set already" 6 yes 0 env LD_PRELOAD="$other" "$entrypoint" "${answer[@]}"
try "off: bare and silent" 6 no 0 env LEAKHUNT_COLLECTOR=off "$entrypoint" "${answer[@]}"
try "an output that cannot be written goes elsewhere" 6 no 0 env LEAKHUNT_OUTPUT=/proc/none TMPDIR="$work" \
  "$entrypoint" "${answer[@]}"
[ "$(id -u)" -ne 0 ] || try "without root" 6 yes 0 setpriv --reuid 65534 --regid 65534 --clear-groups \
  env LEAKHUNT_SOCKET="$work/socket-of-nobody" "$entrypoint" "${answer[@]}"

mv prefix/bin/leakhunt-collect prefix/bin/away
try "without a collector: bare, one warning" 6 no 1 "$entrypoint" "${answer[@]}"
mv prefix/bin/away prefix/bin/leakhunt-collect
library=$(find prefix/lib* -name libleakhunt.so | head -n 1)
mv "$library" saved.so
echo "not a library" >"$library"
try "with a library the loader refuses: bare, one warning" 6 no 1 "$entrypoint" "${answer[@]}"
rm "$library"
try "without the library: bare, one warning" 6 no 1 env LEAKHUNT_PREFIX="$work/none" "$entrypoint" "${answer[@]}"
mv saved.so "$library"

"$entrypoint" >out 2>err
[ $? -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && echo "ok    no command: one line, 2" ||
  { echo "FAIL  no command"; failures=$((failures + 1)); }

[ $failures -eq 0 ]
