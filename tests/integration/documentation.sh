#!/usr/bin/env bash
# The man pages and the programs' --help list the same options and commands; the completions load and complete.
#
#   documentation.sh PREFIX
set -u

readonly prefix=$1 man=$1/share/man
export PATH=$prefix/bin:$PATH
failures=0

expect_empty() {
  [ -z "$2" ] && { echo "ok    $1"; return; }
  echo "FAIL  $1: $(echo $2)"
  failures=$((failures + 1))
}

options() { grep -oE -- '(^|[^a-z-])--[a-z][a-z-]+' | sed 's/^[^-]*//' | sort -u; }
page() { sed 's/\\-/-/g' "$man/$1"; }

documented=$(page man1/leakhunt-collect.1 | options)
listed=$(leakhunt-collect --help | options)
expect_empty "leakhunt-collect: every option is in the man page" "$(comm -23 <(echo "$listed") <(echo "$documented"))"
expect_empty "leakhunt-collect: every option of the man page exists" "$(comm -13 <(echo "$listed") <(echo "$documented"))"

commands=$(leakhunt-report --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' | grep -vxE 'help|version')
[ -n "$commands" ] || { echo "FAIL  leakhunt-report --help lists no command"; exit 1; }
# shellcheck disable=SC2086  # one word each
named=$(for command in $commands; do page man1/leakhunt-report.1 | grep -qE "^\.(B|BI|BR) $command\b" && echo "$command"; done)
expect_empty "leakhunt-report: every command is in the man page" "$(comm -23 <(sort <<<"$commands") <(sort <<<"$named"))"
documented=$(page man1/leakhunt-report.1 | options)
listed=$({ leakhunt-report --help; for command in $commands; do leakhunt-report "$command" --help; done; echo --version; } | options)
expect_empty "leakhunt-report: every option is in the man page" "$(comm -23 <(echo "$listed") <(echo "$documented"))"
expect_empty "leakhunt-report: every option of the man page exists" "$(comm -13 <(echo "$listed") <(echo "$documented"))"

variables=$(strings "$(find "$prefix"/lib* -name libleakhunt.so | head -n 1)" | grep -xE 'LEAKHUNT_[A-Z_]+' | sort -u)
expect_empty "libleakhunt: every variable is in the man page" \
  "$(comm -23 <(echo "$variables") <(page man7/libleakhunt.7 | grep -oE 'LEAKHUNT_[A-Z_]+' | sort -u))"

completed() {  # words of a command line, the last one to be completed
  bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    "_leakhunt_complete_${1#leakhunt-}" "$1"; printf "%s\n" "${COMPREPLY[@]}"' \
    "$prefix/share/bash-completion/completions/leakhunt-report" "$@"
}
expect_empty "bash completes a command" "$(completed leakhunt-report top- | grep -vx top-sites; completed leakhunt-report top- | grep -q . || echo nothing)"
expect_empty "bash completes an option" "$(completed leakhunt-collect --inter | grep -qx -- --interval || echo no)"
expect_empty "bash completes a value" "$(completed leakhunt-report top-sites --sort gr | grep -qx growth || echo no)"

[ $failures -eq 0 ]
