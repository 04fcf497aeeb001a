// Files and directories: every form of open, temporary files, streams, and calls that fail.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"

int __open_2(const char*, int);
int __openat_2(int, const char*, int);

static char scratch[64];
static char* Scratch(const char* suffix) {
  snprintf(scratch, sizeof(scratch), "handle-surface-XXXXXX%s", suffix);
  return scratch;
}

HANDLE_CASE(open, "file", 1) { MUST(open("/etc/passwd", O_RDONLY) >= 0); }
HANDLE_CASE(open64, "file", 1) { MUST(open64("/etc/passwd", O_RDONLY) >= 0); }
HANDLE_CASE(openat, "file", 1) { MUST(openat(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0); }
HANDLE_CASE(openat64, "file", 1) { MUST(openat64(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0); }
HANDLE_CASE(open_fortified, "file", 2) {
  MUST(__open_2("/etc/passwd", O_RDONLY) >= 0);
  MUST(__openat_2(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0);
}
HANDLE_CASE(open_device, "device", 1) { MUST(open("/dev/null", O_RDWR) >= 0); }
HANDLE_CASE(open_directory, "directory", 1) { MUST(open("/etc", O_RDONLY | O_DIRECTORY) >= 0); }
HANDLE_CASE(open_fails, "", 0) {
  for (int i = 0; i < 20; ++i) MUST(open("/no/such/file", O_RDONLY) < 0 && errno == ENOENT);
}
HANDLE_CASE(creat, "file", 1) {
  MUST(close(mkstemp(Scratch(""))) == 0);
  MUST(creat(scratch, 0600) >= 0 && unlink(scratch) == 0);
}
HANDLE_CASE(mkstemp, "file", 4) {
  MUST(mkstemp(Scratch("")) >= 0 && unlink(scratch) == 0);
  MUST(mkostemp(Scratch(""), O_CLOEXEC) >= 0 && unlink(scratch) == 0);
  MUST(mkstemps(Scratch(".txt"), 4) >= 0 && unlink(scratch) == 0);
  MUST(mkostemps64(Scratch(".txt"), 4, O_CLOEXEC) >= 0 && unlink(scratch) == 0);
}
// The mode arrives as it was given, and calls that have none to give need none.
static void MadeWith(int fd, mode_t mode) {
  struct stat made;
  MUST(fd >= 0 && fstat(fd, &made) == 0 && (made.st_mode & 07777) == mode);
  MUST(close(fd) == 0);
}
static const char* Unmade(void) {
  MUST(close(mkstemp(Scratch(""))) == 0 && unlink(scratch) == 0);
  return scratch;
}
HANDLE_CASE(open_with_a_mode, "file", 1) {
  umask(0);
  const int made = O_CREAT | O_EXCL | O_RDWR, nameless = O_TMPFILE | O_RDWR;
  for (int i = 0; i < 200; ++i) {
    const mode_t mode = 0600 | (mode_t)(i % 64);
    MadeWith(open(Unmade(), made, mode), mode), unlink(scratch);
    MadeWith(open64(Unmade(), made, mode), mode), unlink(scratch);
    MadeWith(openat(AT_FDCWD, Unmade(), made, mode), mode), unlink(scratch);
    MadeWith(openat64(AT_FDCWD, Unmade(), made, mode), mode), unlink(scratch);
    MadeWith(creat(Unmade(), mode), mode);
    MadeWith(open(scratch, O_RDONLY), mode), unlink(scratch);
  }
  int fd = open(".", nameless, 0620);
  if (fd >= 0) MadeWith(fd, 0620);  // not every file system has nameless files
  MUST(open("/etc/passwd", O_RDONLY) >= 0);
}
HANDLE_CASE(memfd_create, "memfd", 1) { MUST(memfd_create("surface", 0) >= 0); }
HANDLE_CASE(shm_open, "file", 1) {
  MUST(shm_open("/handle-surface", O_RDWR | O_CREAT, 0600) >= 0 && shm_unlink("/handle-surface") == 0);
}
HANDLE_CASE(mq_open, "", 1) {
  mqd_t queue = mq_open("/handle-surface", O_RDWR | O_CREAT, 0600, NULL);
  if (queue < 0) NotHere("a message queue");
  mqd_t closed = mq_open("/handle-surface", O_RDWR);
  MUST(mq_close(closed) == 0 && mq_unlink("/handle-surface") == 0);
}

HANDLE_CASE(fopen, "file", 1) {
  fclose(fopen("/etc/group", "r"));
  MUST(fopen("/etc/passwd", "r") != NULL);
}
HANDLE_CASE(fopen64, "file", 1) { MUST(fopen64("/etc/passwd", "r") != NULL); }
HANDLE_CASE(fdopen, "file", 1) {
  fclose(fdopen(open("/etc/group", O_RDONLY), "r"));
  MUST(fdopen(open("/etc/passwd", O_RDONLY), "r") != NULL);
}
HANDLE_CASE(tmpfile, "file", 1) {
  fclose(tmpfile());
  MUST(tmpfile64() != NULL);
}
HANDLE_CASE(freopen, "file", 1) {
  FILE* stream = fopen("/etc/group", "r");
  for (int i = 0; i < 10; ++i) MUST((stream = freopen("/etc/passwd", "r", stream)) != NULL);
}
HANDLE_CASE(freopen_fails, "", 0) { MUST(freopen("/no/such/file", "r", fopen("/etc/group", "r")) == NULL); }
HANDLE_CASE(fcloseall, "file", 1) {
  MUST(fopen("/etc/passwd", "r") != NULL);
  MUST(fcloseall() == 0);  // flushes, closes nothing
}
HANDLE_CASE(popen, "pipe", 1) {
  pclose(popen("true", "r"));
  FILE* stays = popen("true", "r");
  MUST(stays != NULL && fgetc(stays) == EOF);
}
HANDLE_CASE(memory_streams, "", 0) {
  char* text;
  size_t bytes;
  MUST(fmemopen(NULL, 100, "w+") != NULL && open_memstream(&text, &bytes) != NULL);
}

HANDLE_CASE(opendir, "directory", 1) {
  closedir(opendir("/etc"));
  MUST(opendir("/") != NULL);
}
HANDLE_CASE(fdopendir, "directory", 1) {
  closedir(fdopendir(open("/etc", O_RDONLY)));
  MUST(fdopendir(open("/", O_RDONLY)) != NULL);
}
HANDLE_CASE(scandir, "", 0) {
  struct dirent** names;
  for (int i = 0; i < 5; ++i) MUST(scandir("/etc", &names, NULL, NULL) > 0);
}
HANDLE_CASE(fts, "directory", 1) {
  char* paths[] = {(char*)"/etc/apt", NULL};
  fts_close(fts_open(paths, FTS_PHYSICAL, NULL));
  MUST(fts_open(paths, FTS_PHYSICAL, NULL) != NULL);
}

HANDLE_CASE(raw_syscalls, "file", 2) {
  for (int i = 0; i < 10; ++i) MUST(syscall(SYS_close, open("/etc/group", O_RDONLY)) == 0);
  MUST(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0);
  MUST(open("/etc/passwd", O_RDONLY) >= 0);
}
