// Maps, grows, shrinks and unmaps; prints "BYTES MAPPINGS" of what it leaves mapped. Opens and closes on the way.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kPage = 4096 };

int main(void) {
  size_t bytes = 0, count = 0;
  for (int i = 1; i <= 60; ++i) {
    size_t size = (size_t)i * kPage;
    char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 1;
    if (i % 3 == 0) {
      if (munmap(at, size) != 0) return 1;
      continue;
    }
    if (i % 3 == 1) {
      at = mremap(at, size, size + 3 * kPage, MREMAP_MAYMOVE);
      if (at == MAP_FAILED) return 1;
      size += 3 * kPage;
    }
    at[0] = 1;
    bytes += size;
    ++count;
    close(open("/dev/null", O_RDONLY));
  }
  close_range(400, 410, 0);
  printf("%zu %zu\n", bytes, count);
  return 0;
}
