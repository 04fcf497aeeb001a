// Opening and closing are cancellation points, in a program of one thread as well.
//
// argv[1]: "self": the only thread cancels itself; "later": while it may not be cancelled; "joined": after another has come and
// gone; "waiting": one thread cancels another that waits in open.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef COPIES_LIBCS_WORD
#include <sys/single_threaded.h>
#endif

static int first, opened = -1;

static void say(const char *what) {
  printf("%s\n", what);
  fflush(stdout);
}
static void cancelled(void *where) { say(where); }

// The same place again and again, as a server opens: the first openings are not what the later ones are.
static int open_and_close(int times) {
  for (int i = 0; i < times; ++i) {
    opened = open("/dev/null", O_RDONLY);
    if (opened < 0) return -1;
    if (i == 0) first = opened;
    if (opened != first) say("another number");
    close(opened);
  }
  return 0;
}

static void *comes_and_goes(void *nothing) {
  open_and_close(100);
  return nothing;
}

static void *waits(void *path) {
  pthread_cleanup_push(cancelled, "cancelled in open");
  opened = open(path, O_RDONLY);
  say("opened");
  pthread_cleanup_pop(0);
  return NULL;
}

static int cancels_one_that_waits(void) {
  char directory[] = "/tmp/cancelled.XXXXXX", path[64];
  if (mkdtemp(directory) == NULL) return 1;
  snprintf(path, sizeof(path), "%s/fifo", directory);
  if (mkfifo(path, 0600) != 0) return 1;
  pthread_t thread;
  pthread_create(&thread, NULL, waits, path);
  usleep(50000);
  pthread_cancel(thread);
  void *result = NULL;
  pthread_join(thread, &result);
  say(result == PTHREAD_CANCELED ? "joined: cancelled" : "joined");
  unlink(path);
  rmdir(directory);
  return 0;
}

int main(int count, char **arguments) {
  const char *way = count > 1 ? arguments[1] : "self";
#ifdef COPIES_LIBCS_WORD
  printf("one thread: %d\n", __libc_single_threaded);
#endif
  if (open_and_close(300) != 0) return 1;
  if (strcmp(way, "waiting") == 0) return cancels_one_that_waits();
  if (strcmp(way, "joined") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, comes_and_goes, NULL);
    pthread_join(thread, NULL);
  }
  int left_open = dup(0);
  pthread_cleanup_push(cancelled, "cancelled");
  if (strcmp(way, "later") == 0) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    open_and_close(300);
    say("not yet");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  } else {
    say("about to");
    pthread_cancel(pthread_self());
  }
  // Not through stdio: nothing but these two may be where it ends.
  if (strcmp(way, "joined") == 0) close(left_open);
  else opened = open("/dev/null", O_RDONLY);
  say("not cancelled");
  pthread_cleanup_pop(0);
  return 2;
}
