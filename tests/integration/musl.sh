#!/usr/bin/env bash
# The same library in a program that uses musl: the program's output and status are its own, and what it holds is recorded
# exactly, with its stacks.
#
#   musl.sh PREFIX WORK_DIR            exit status 77: there is no musl-gcc
set -u

prefix=$1 work=$2
command -v musl-gcc >/dev/null || { echo "musl-gcc is not installed"; exit 77; }
rm -rf "$work" && mkdir -p "$work" || exit 1
cat >"$work/program.c" <<'C'
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void* kept[700];
__attribute__((noinline)) static void Keep(int i) { kept[i] = malloc(123); }
static void* Thread(void* n) { for (int i = 0; i < 10000; ++i) free(malloc(i % 500 + 1)); return n; }
int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, Thread, NULL);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < 700; ++i) Keep(i);
  for (int i = 0; i < 3; ++i) (void)!open("/dev/null", O_RDONLY);
  if (fork() == 0) { free(malloc(10)); _exit(3); }
  int status = 0;
  wait(&status);
  printf("kept %d, child %d\n", kept[699] != NULL, WEXITSTATUS(status));
  fflush(stdout);
  return 7;
}
C
musl-gcc -g -O1 -fno-builtin -o "$work/program" "$work/program.c" -pthread || exit 1
alone=$("$work/program" 2>&1; echo "status $?")
under=$("$prefix/bin/leakhunt-collect" --quiet --sample-bytes 1 --output "$work/data" -- "$work/program" 2>&1; echo "status $?")
[ "$alone" = "$under" ] || { printf 'alone: %s\nunder leakhunt: %s\n' "$alone" "$under"; exit 1; }
blocks=$("$prefix/bin/leakhunt-report" top-sites "$work/data" --snapshot end --format json --limit 0 2>/dev/null |
  jq '[.sites[] | select(any(.stack[]; .function == "Keep")) | .live_count.value] | add')
[ "$blocks" = 700 ] || { echo "$blocks blocks of 700 kept"; exit 1; }
open=$("$prefix/bin/leakhunt-report" handles "$work/data" --snapshot end --format json --limit 0 2>/dev/null | jq '[.sites[].open] | add')
[ "$open" = 3 ] || { echo "$open handles of 3 open"; exit 1; }
echo "musl: $under; 700 blocks and 3 handles with their call sites"
