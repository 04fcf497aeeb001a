// Ends by each way a program may end; the argument says which. Handlers and destructors allocate to the last.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept;

static void Handler(void) {
  free(kept);
  kept = malloc(50);
}
__attribute__((destructor)) static void AfterAll(void) {
  free(kept);
  kept = malloc(70);
}

int main(int argc, char **argv) {
  atexit(Handler);
  kept = malloc(30);
  const char *way = argc > 1 ? argv[1] : "return";
  printf("%s\n", way);
  fflush(stdout);
  if (strcmp(way, "exit") == 0) exit(3);
  if (strcmp(way, "_exit") == 0) _exit(4);
  if (strcmp(way, "quick_exit") == 0) quick_exit(5);
  if (strcmp(way, "abort") == 0) abort();
  if (strcmp(way, "kill") == 0) raise(SIGKILL);
  if (strcmp(way, "fault") == 0) *(volatile int *)8 = 1;
  if (strcmp(way, "exec") == 0) execl("/bin/sh", "sh", "-c", "exit 6", (char *)NULL);
  return 2;
}
