// The calls that make and close descriptors, as often as asked: loops open|accept|dup|pipe COUNT. Prints nanoseconds a
// turn of the process's own CPU time.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(int ok, const char* what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void open_close(void) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  check(fd >= 0, "open");
  close(fd);
}

static void duplicate(void) {
  int fd = dup(1);
  check(fd >= 0, "dup");
  close(fd);
}

static int listener = -1;
static struct sockaddr_in address;

// Both ends, as a proxy has them.
static void accept_close(void) {
  if (listener < 0) {
    socklen_t bytes = sizeof(address);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener, (struct sockaddr*)&address, bytes) == 0 && listen(listener, 16) == 0, "listen");
    getsockname(listener, (struct sockaddr*)&address, &bytes);
  }
  int client = socket(AF_INET, SOCK_STREAM, 0);
  struct linger reset = {1, 0};  // no TIME_WAIT: ports would run out
  setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  check(connect(client, (struct sockaddr*)&address, sizeof(address)) == 0, "connect");
  struct sockaddr_in peer;
  socklen_t bytes = sizeof(peer);
  int server = accept4(listener, (struct sockaddr*)&peer, &bytes, SOCK_CLOEXEC);
  check(server >= 0, "accept");
  close(client);
  close(server);
}

static void make_pipe(void) {
  int ends[2];
  check(pipe(ends) == 0, "pipe");
  close(ends[0]);
  close(ends[1]);
}

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*turn)(void);
  } loops[] = {{"open", open_close}, {"accept", accept_close}, {"dup", duplicate}, {"pipe", make_pipe}};
  for (unsigned i = 0; argc == 3 && i < sizeof(loops) / sizeof(loops[0]); ++i) {
    if (strcmp(argv[1], loops[i].name) != 0) continue;
    long count = atol(argv[2]);
    for (long n = 0; n < count / 10; ++n) loops[i].turn();  // warm
    double before = cpu_ns();
    for (long n = 0; n < count; ++n) loops[i].turn();
    printf("%.1f\n", (cpu_ns() - before) / (double)count);
    return 0;
  }
  fprintf(stderr, "usage: loops open|accept|dup|pipe COUNT\n");
  return 2;
}
