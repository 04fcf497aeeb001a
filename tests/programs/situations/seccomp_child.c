// A sandboxed worker, as sshd's and browsers': a forked child installs a seccomp filter that kills for any system call
// which it does not make itself, then frees what its parent allocated, allocates, opens and closes. Once when it has done
// nothing before the filter, and once when it has been at work.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBlocks = 3000, kRounds = 20000 };
static void* inherited[kBlocks];

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void enter_sandbox(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(__NR_openat), ALLOW(__NR_close), ALLOW(__NR_dup), ALLOW(__NR_pipe2), ALLOW(__NR_exit_group), ALLOW(__NR_write),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(1);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0) _exit(1);  // one that fails; the first one stands
}

// Many call sites: each depth is one.
__attribute__((noinline)) static void* allocate(int depth, size_t size) {
  void* block = depth == 0 ? malloc(size) : allocate(depth - 1, size);
  __asm__ volatile("" ::: "memory");
  return block;
}

static void handles(int round) {
  int file = open("/dev/null", O_RDONLY), ends[2];
  if (file < 0 || pipe2(ends, O_CLOEXEC) != 0) _exit(2);
  int copy = dup(file);
  close(file);
  close(copy);
  close(ends[round & 1]);
  close(ends[~round & 1]);
}

static void work(void) {
  for (int i = 0; i < kBlocks; i += 2) free(inherited[i]);
  void* kept[512] = {0};
  for (int i = 0; i < kRounds; ++i) {
    void** place = &kept[i % 512];
    free(*place);
    *place = allocate(i % 40, 16 + i % 700);
    if (i % 5 == 0) *place = realloc(*place, 32 + i % 900);
    if (i % 50 == 0) handles(i);
  }
}

static int in_child(int at_work_before) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (at_work_before) work();
    enter_sandbox();
    if (at_work_before) {
      for (int i = 1; i < kBlocks; i += 2) free(inherited[i]);
      for (int i = 0; i < kRounds; ++i) free(allocate(i % 60, 16 + i % 300));
    } else {
      work();
    }
    handles(0);
    _exit(write(1, "survived\n", 9) == 9 ? 7 : 3);
  }
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return status;
}

int main(void) {
  mallopt(M_TOP_PAD, 64 << 20);         // the heap must not grow in the sandbox
  mallopt(M_TRIM_THRESHOLD, 512 << 20);  // nor shrink
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  for (int i = 0; i < kBlocks; ++i) inherited[i] = allocate(i % 50, 16 + i % 500);
  printf("straight into it: %x\n", in_child(0));
  printf("after some work: %x\n", in_child(1));
  return 0;
}
