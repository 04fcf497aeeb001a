// A program that reads the list of its descriptors and closes what stands there, as crash handlers and launchers do: each is
// open, so no close may fail.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_all(const char* list, int raw) {
  int numbers[256], count = 0;
  DIR* directory = opendir(list);
  if (directory == NULL) exit(1);
  for (struct dirent* entry; (entry = readdir(directory)) != NULL && count < 256;) {
    int fd = atoi(entry->d_name);
    if (fd > 2 && fd != dirfd(directory)) numbers[count++] = fd;
  }
  closedir(directory);
  for (int i = 0; i < count; ++i) {
    if ((raw ? (int)syscall(SYS_close, numbers[i]) : close(numbers[i])) != 0) printf("close: %s\n", strerror(errno));
  }
}

int main(void) {
  const char* lists[] = {"/proc/self/fd", "/proc/self/fd/", "/dev/fd"};
  for (int i = 0; i < 3; ++i) {
    int file = open("/dev/null", O_RDONLY);
    close_all(lists[i], i == 1);
    printf("%s: %d again\n", lists[i], open("/dev/null", O_RDONLY) == file);
    close(file);
    for (int n = 0; n < 10000; ++n) free(malloc(n & 1023));
  }
  return 0;
}
