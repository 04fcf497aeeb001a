// handle_surface: `--list` prints NAME TYPE COUNT of every case; NAME runs that case and prints a line "before N" with
// the number of descriptors open at start, then "open FD TARGET" for each that is open now and was not then.
// Descriptors from kReserved up are a tool's own.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "case.h"

enum { kReserved = 512 };

static struct HandleCase* cases;

void RegisterHandleCase(struct HandleCase* handle_case) {
  handle_case->next = cases;
  cases = handle_case;
}

void NotHere(const char* what) {
  fprintf(stderr, "%s is not to be had here\n", what);
  exit(77);
}

void MustFailed(const char* what, const char* file, int line) {
  fprintf(stderr, "%s:%d: %s: %m\n", file, line, what);
  exit(1);
}

static int IsOpen(int fd) {
  char path[64], target[256];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return readlink(path, target, sizeof(target)) >= 0;
}

int main(int argc, char** argv) {
  char before[kReserved];
  int count = 0;
  for (int fd = 0; fd < kReserved; ++fd) count += before[fd] = (char)IsOpen(fd);
  if (argc != 2) return 2;
  for (struct HandleCase* c = cases; c != NULL; c = c->next) {
    if (strcmp(argv[1], "--list") == 0) printf("%s %s %d\n", c->name, c->type[0] ? c->type : "-", c->stays_open);
    if (strcmp(argv[1], c->name) != 0) continue;
    c->run();
    printf("before %d\n", count);
    for (int fd = 0; fd < kReserved; ++fd) {
      if (!before[fd] && IsOpen(fd)) printf("open %d\n", fd);
    }
    fflush(stdout);
    return 0;
  }
  return strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
