// Opens and closes as a server does, with another library (counts_openings.c) before libc's functions, and asks that how many it saw.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  void (*say_counts)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "say_counts");
  if (say_counts == NULL) return 1;
  for (int i = 0; i < 300; ++i) close(open("/dev/null", O_RDONLY));
  for (int i = 0; i < 300; ++i) close(open64("/dev/null", O_RDONLY));
  say_counts();
  return 0;
}
