// A process whose first thread has ended, as pthread_exit in main leaves it: /proc/PID shows no memory and no descriptors then.
// The other thread keeps 100 blocks and 10 files, says "ready" and goes on until its input ends.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void* kept[100];

static int first_has_ended(void) {
  char text[512] = "";
  FILE* file = fopen("/proc/self/stat", "r");
  if (file == NULL || fgets(text, sizeof(text), file) == NULL) abort();
  fclose(file);
  return strstr(text, ") Z ") != NULL;
}

static void* keeps(void* unused) {
  (void)unused;
  while (!first_has_ended()) usleep(1000);
  for (int i = 0; i < 100; ++i) kept[i] = memset(malloc(5000), 1, 5000);
  for (int i = 0; i < 10; ++i) {
    if (open("/dev/null", O_RDONLY) < 0) abort();
  }
  puts("ready");
  fflush(stdout);
  for (char c; read(0, &c, 1) > 0;) {}
  return NULL;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, keeps, NULL) != 0) return 1;
  pthread_exit(NULL);
}
