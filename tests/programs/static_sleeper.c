// Linked statically: it has no loader. With the argument "undumpable", nobody but root may look into it.
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "undumpable") == 0) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (;;) pause();
}
