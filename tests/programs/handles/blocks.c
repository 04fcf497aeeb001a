// Threads and mappings by other calls than mmap: what stays is said in the comment of each function. Prints nothing.
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <threads.h>
#include <unistd.h>

static void Must(int condition) {
  if (!condition) abort();
}
static void* Nothing(void* argument) { return argument; }
static int NothingEither(void* argument) { return argument != NULL; }
static atomic_int detached;
static void* DetachItself(void* argument) {
  pthread_detach(pthread_self());
  ++detached;
  return argument;
}

// 4 threads of the default size.
__attribute__((noinline)) static void UnjoinedThreads(void) {
  pthread_t threads[10];
  for (int i = 0; i < 10; ++i) Must(pthread_create(&threads[i], NULL, Nothing, NULL) == 0);
  for (int i = 0; i < 3; ++i) Must(pthread_join(threads[i], NULL) == 0);
  while (pthread_tryjoin_np(threads[3], NULL) != 0) usleep(1000);
  for (int i = 4; i < 6; ++i) Must(pthread_detach(threads[i]) == 0);
}
// None.
__attribute__((noinline)) static void ThreadsThatDetachThemselves(void) {
  pthread_t thread;
  for (int i = 0; i < 500; ++i) Must(pthread_create(&thread, NULL, DetachItself, NULL) == 0);
  while (detached != 500) usleep(1000);
}
// None.
__attribute__((noinline)) static void ThreadsBornDetached(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (int i = 0; i < 5; ++i) Must(pthread_create(&thread, &attributes, Nothing, NULL) == 0);
}
// 1 thread of 1 MiB.
__attribute__((noinline)) static void SmallUnjoinedThread(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  Must(pthread_create(&thread, &attributes, Nothing, NULL) == 0);
}
// 1 thread of the default size.
__attribute__((noinline)) static void StandardThreads(void) {
  thrd_t thread;
  Must(thrd_create(&thread, NothingEither, NULL) == thrd_success && thrd_join(thread, NULL) == thrd_success);
  Must(thrd_create(&thread, NothingEither, NULL) == thrd_success);
}
// 1 mapping of 303,104 bytes.
__attribute__((noinline)) static void SharedSegments(void) {
  int id = shmget(IPC_PRIVATE, 300000, IPC_CREAT | 0600);
  void* stays = shmat(id, NULL, 0);
  void* goes = shmat(id, NULL, 0);
  Must(stays != (void*)-1 && goes != (void*)-1 && shmdt(goes) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}
// 1 mapping of a page: the second opening gives the same one, and one closing leaves it.
__attribute__((noinline)) static void Semaphores(void) {
  sem_t* stays = sem_open("/leakhunt-test-a", O_CREAT, 0600, 1);
  Must(stays != SEM_FAILED && sem_open("/leakhunt-test-a", 0) == stays && sem_close(stays) == 0);
  sem_t* goes = sem_open("/leakhunt-test-b", O_CREAT, 0600, 1);
  Must(goes != SEM_FAILED && sem_close(goes) == 0);
  sem_unlink("/leakhunt-test-a");
  sem_unlink("/leakhunt-test-b");
}

// The links of the directory are two and one for each thread.
static void AwaitEndOfThreads(void) {
  struct stat tasks;
  do Must(usleep(1000) == 0 && stat("/proc/self/task", &tasks) == 0);
  while (tasks.st_nlink > 3);
}

int main(void) {
  UnjoinedThreads();
  ThreadsThatDetachThemselves();
  ThreadsBornDetached();
  SmallUnjoinedThread();
  StandardThreads();
  SharedSegments();
  Semaphores();
  AwaitEndOfThreads();
  return 0;
}
