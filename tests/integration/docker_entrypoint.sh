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

printf '#include <unistd.h>\nint main(void) { return write(1, "answer\\n", 7) != 7; }\n' >static.c
cc -static -o static static.c || exit 1

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
# As nobody, who cannot write to /var/lib/leakhunt of this machine.
nobody=()
[ "$(id -u)" -ne 0 ] || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env LEAKHUNT_SOCKET="$work/socket-of-nobody")
try "without root" 6 yes 0 "${nobody[@]}" "$entrypoint" "${answer[@]}"
mkdir -m 777 "$work/tmp"
try "an output that cannot be written goes elsewhere, in one line" 6 no 1 "${nobody[@]}" \
  env LEAKHUNT_OUTPUT=/proc/none TMPDIR="$work/tmp" "$entrypoint" "${answer[@]}"
find "$work/tmp/leakhunt-data" -name '*.lhs' | grep -q . && echo "ok    where the line says" ||
  { echo "FAIL  not recorded elsewhere"; failures=$((failures + 1)); }

# An image without a shell has the collector itself as entry point: the same answers, by the same cases.
collect=("$work/prefix/bin/leakhunt-collect" --or-bare --)
for door in script collector; do
  wrap=("$entrypoint")
  [ $door = script ] || wrap=("${collect[@]}")
  try "$door: recorded" 6 yes 0 "${wrap[@]}" "${answer[@]}"
  try "$door: off: bare and silent" 6 no 0 env LEAKHUNT_COLLECTOR=off "${wrap[@]}" "${answer[@]}"
  try "$door: connect, and nobody listens: the library's line" 6 no 1 env LEAKHUNT_COLLECTOR=connect "${wrap[@]}" \
    "${answer[@]}"
  try "$door: a mode that is none: one line" 6 yes 1 env LEAKHUNT_COLLECTOR=atuo "${wrap[@]}" "${answer[@]}"
  for bad in LEAKHUNT_BUDGET=lots LEAKHUNT_SAMPLE_BYTES=many LEAKHUNT_INTERVAL=soon LEAKHUNT_TRACK=cows \
    LEAKHUNT_CHILDREN=some "LEAKHUNT_OPTIONS=--max-dsk 10M" "LEAKHUNT_OPTIONS=--max-disk much" "LEAKHUNT_OPTIONS=--http here" \
    "LEAKHUNT_OPTIONS=typo" "LEAKHUNT_OPTIONS=--help" "LEAKHUNT_OPTIONS=--pid 1" "LEAKHUNT_OPTIONS=--client-fd 7" \
    "LEAKHUNT_OPTIONS=--duration"; do
    try "$door: $bad: one line, recorded all the same" 6 yes 1 env "$bad" "${wrap[@]}" "${answer[@]}"
  done
  try "$door: of two options one is wrong: the other one holds" 6 yes 1 \
    env LEAKHUNT_OPTIONS="--max-dsk 10M --snapshot-at-rss 1G" "${wrap[@]}" "${answer[@]}"
  try "$door: a socket that cannot be: bare, one line" 6 no 1 env LEAKHUNT_SOCKET=/proc/none/socket "${wrap[@]}" "${answer[@]}"
  try "$door: a static program: one line" 0 no 1 "${wrap[@]}" "$work/static"
  [ "$("${wrap[@]}" "$work/none" 2>&1 | wc -l)" -eq 1 ] && echo "ok    $door: no such command: one line" ||
    { echo "FAIL  $door: no such command"; failures=$((failures + 1)); }
done
try "a wrong option on the command line: bare, one line" 6 no 1 "$work/prefix/bin/leakhunt-collect" --or-bare --budget lots -- \
  "${answer[@]}"
"$work/prefix/bin/leakhunt-collect" --budget lots -- "${answer[@]}" >out 2>err
[ $? -eq 125 ] && [ ! -s out ] && echo "ok    and without --or-bare: 125" || { echo "FAIL  125"; failures=$((failures + 1)); }

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
