// Threads of every fate, each made at a call site of its own name. After "ready" those named *_stay are alive; after one line
// of input they end, "ended" is printed, and the program waits for the end of its input.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int may_end, staying;

static void* stay(void* argument) {
  pthread_mutex_lock(&lock);
  ++staying;
  pthread_cond_broadcast(&changed);
  while (!may_end) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  return argument;
}
static void* end(void* argument) { return argument; }
static void* detach_and_end(void* argument) {
  pthread_detach(pthread_self());
  return argument;
}
static void* detach_and_stay(void* argument) {
  pthread_detach(pthread_self());
  return stay(argument);
}
static int end_c11(void* argument) { return argument != NULL; }

static pthread_t create(const pthread_attr_t* attributes, void* (*start)(void*)) {
  pthread_t thread;
  if (pthread_create(&thread, attributes, start, NULL) != 0) exit(1);
  return thread;
}

static pthread_attr_t detached;

#define CALL_SITE __attribute__((noinline)) static void
CALL_SITE made_detached_stay(void) { create(&detached, stay); }
CALL_SITE made_detached_end(void) { create(&detached, end); }
CALL_SITE detached_stay(void) { pthread_detach(create(NULL, stay)); }
CALL_SITE detached_end(void) { pthread_detach(create(NULL, end)); }
CALL_SITE detach_themselves_stay(void) { create(NULL, detach_and_stay); }
CALL_SITE detach_themselves_end(void) { create(NULL, detach_and_end); }
CALL_SITE not_joined(void) { create(NULL, end); }
CALL_SITE joined(void) { pthread_join(create(NULL, end), NULL); }
CALL_SITE detached_c11_end(void) {
  thrd_t thread;
  if (thrd_create(&thread, end_c11, NULL) != thrd_success) exit(1);
  thrd_detach(thread);
}

static void repeat(int times, void (*site)(void)) {
  for (int i = 0; i < times; ++i) site();
}

int main(void) {
  pthread_attr_init(&detached);
  pthread_attr_setstacksize(&detached, 64 * 1024);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  repeat(200, made_detached_end);
  repeat(200, detached_end);
  repeat(300, detach_themselves_end);
  repeat(100, detached_c11_end);
  repeat(100, joined);
  repeat(5, not_joined);
  repeat(12, made_detached_stay);
  repeat(9, detached_stay);
  repeat(7, detach_themselves_stay);
  pthread_mutex_lock(&lock);
  while (staying < 12 + 9 + 7) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  puts("ready");
  fflush(stdout);
  getchar();
  pthread_mutex_lock(&lock);
  may_end = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  puts("ended");
  fflush(stdout);
  while (getchar() != EOF) {}
  _exit(0);
}
