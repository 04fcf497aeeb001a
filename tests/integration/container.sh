#!/usr/bin/env bash
# The container entry point as process 1 of a container, without a container engine: in pid and mount namespaces with a
# read-only root, a tmpfs on /tmp and one volume. Skipped (77) where namespaces may not be made.
#
#   container.sh PREFIX
set -u

readonly prefix=$1
unshare --pid --mount --fork --mount-proc true 2>/dev/null || { echo "namespaces are not permitted here"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/volume"
cp -a "$prefix" "$work/prefix"  # wherever it is installed, it is seen inside
unset "${!LEAKHUNT_@}" LD_PRELOAD
failures=0

# contained COMMAND...: runs it behind the entry point; the work directory is seen as /mnt inside.
contained() {
  # shellcheck disable=SC2016  # expanded by the shell inside
  timeout -k 5 60 unshare --pid --mount --fork --kill-child --mount-proc sh -c '
    mount --bind "$0" /mnt && mount -t tmpfs tmpfs /tmp && mount -o remount,bind,ro / || exit 99
    cd / && export LEAKHUNT_OUTPUT=/mnt/volume
    exec /mnt/prefix/libexec/leakhunt/docker-entrypoint "$@"' "$work" "$@"
}

expect() {  # what it means, a command that must succeed
  local what=$1
  shift
  "$@" && { echo "ok    $what"; return; }
  echo "FAIL  $what"; head -n 5 "$work"/out "$work"/err | sed 's/^/        /'
  failures=$((failures + 1))
}

recorded() { [ -n "$(find "$work/volume" -name '*.lhs')" ]; }

contained sh -c 'echo "$PPID"; touch /etc/x 2>/dev/null || echo read-only; exit 9' >"$work/out" 2>"$work/err"
expect "the status of the command is the container's" test $? -eq 9
expect "process 1 is the collector, the root is read-only" test "$(tr '\n' ' ' <"$work/out")" = "1 read-only "
expect "nothing is said on stderr" test ! -s "$work/err"
expect "the recording is on the volume" recorded

# The orphan becomes a child of process 1 when its parent ends, and a zombie unless that one reaps it.
contained sh -c 'sh -c "sleep 0.2 &"; sleep 1; ps -eo stat= | grep -c "^Z"' >"$work/out" 2>"$work/err"
expect "orphans are reaped" test "$(cat "$work/out")" = 0

rm -rf "$work/volume"/*
contained sh -c 'trap "echo asked to stop; exit 5" TERM; echo ready; while :; do sleep 0.1; done' >"$work/out" 2>"$work/err" &
runner=$!
for _ in $(seq 100); do grep -q ready "$work/out" && break; sleep 0.1; done
# The collector below the runner: timeout, unshare and it.
init=$runner
until [ "$(cat "/proc/$init/comm" 2>/dev/null)" = leakhunt-collec ] || [ -z "$init" ]; do init=$(pgrep -P "$init"); done
began=$SECONDS
kill -TERM "$init"
wait $runner
expect "a stop reaches the command, whose status is passed" test $? -eq 5
expect "in its own words" grep -q 'asked to stop' "$work/out"
expect "within the grace period" test $((SECONDS - began)) -le 9
expect "the last snapshot is on the volume" recorded

[ $failures -eq 0 ]
