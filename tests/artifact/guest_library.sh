#!/usr/bin/env bash
# What libleakhunt.so may need, export and carry, read from the file itself: it is loaded into other people's programs.
#
#   guest_library.sh LIBRARY EXPORTS_MAP
set -u
export LC_ALL=C

readonly library=$1 exports_map=$2
failures=0

expect_empty() {  # what it means, what was found
  [ -z "$2" ] && { echo "ok    $1"; return; }
  echo "FAIL  $1:"
  printf '%s\n' "$2" | head -n 20 | sed 's/^/        /'
  failures=$((failures + 1))
}

[ -r "$library" ] && [ -r "$exports_map" ] || { echo "cannot read $library or $exports_map"; exit 1; }

dynamic=$(readelf --wide --dynamic "$library")
undefined=$(nm --dynamic --undefined-only "$library" | awk '{print $NF}')
exported=$(nm --dynamic --defined-only "$library" | awk '$2 != "A" {print $NF}' | sed 's/@.*//' | sort -u)
allowed=$(sed -e 's,/\*[^*]*\*/,,g' -e 's,#.*,,' "$exports_map" | tr '{};' '\n\n\n' | sed 's/^ *//; s/ *$//' |
  awk '/global:/ {on = 1; sub(/.*global: */, "")} /local:/ {on = 0} on && NF {print $1}' | sort -u)

expect_empty "needs libc alone" "$(sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' <<<"$dynamic" | grep -vx 'libc\.so\.6')"
expect_empty "has the soname libleakhunt.so" \
  "$(grep -q 'SONAME.*\[libleakhunt\.so\]' <<<"$dynamic" || sed -n 's/.*(SONAME)//p; $a no such soname' <<<"$dynamic")"
expect_empty "uses nothing of libstdc++ or libm" \
  "$(grep -E '^(_Z|__cxa_|__gxx_|_Unwind_|(log2?|exp2?|pow|sqrt|ceil|floor)f?(@|$))' <<<"$undefined" |
    grep -vE '^__cxa_(finalize|atexit)(@|$)')"
expect_empty "exports nothing but what exports.map lists" "$(comm -23 <(echo "$exported") <(echo "$allowed"))"
expect_empty "exports all that exports.map lists" "$(grep -v '[*?]' <<<"$allowed" | comm -13 <(echo "$exported") -)"
expect_empty "never calls __tls_get_addr (dynamic TLS allocates)" "$(grep -E '^__tls_get_addr' <<<"$undefined")"
expect_empty "has no text relocations" "$(grep -E 'TEXTREL' <<<"$dynamic")"
expect_empty "has no RPATH or RUNPATH" "$(grep -E 'RPATH|RUNPATH' <<<"$dynamic")"

segments=$(readelf --wide --segments "$library")
tls_bytes=$(awk '$1 == "TLS" {print $6}' <<<"$segments")
expect_empty "keeps its TLS within 1024 bytes (a library loaded late gets some 1,600)" \
  "$([ $((${tls_bytes:-0})) -le 1024 ] || echo "$((tls_bytes)) bytes")"
expect_empty "has no executable stack" "$(awk '$1 == "GNU_STACK" && $7 ~ /E/' <<<"$segments")"
expect_empty "has a build-id" "$(readelf --wide --notes "$library" | grep -q 'Build ID' || echo none)"

[ $failures -eq 0 ]
