#include "preload/core/output_check.h"

#include <sys/stat.h>

#include "preload/sys/log.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

namespace leakhunt::core {
namespace {

using OutputPath = sys::Text<1280>;

constexpr long kNoEntry = -2, kAccess = -13, kNotDirectory = -20, kReadOnly = -30;
constexpr int kWriteAndSearch = 2 | 1;  // W_OK | X_OK

const char* Reason(long error) {
  switch (error) {
    case kNoEntry: return "no such directory";
    case kAccess: return "permission denied";
    case kNotDirectory: return "not a directory";
    case kReadOnly: return "the file system is read-only";
    default: return "the kernel refuses";
  }
}

// Cuts the last component off. False when there is none but the root.
bool GoUp(OutputPath* path) {
  uint32_t end = path->Size();
  while (end > 1 && path->Get()[end - 1] == '/') --end;
  while (end > 1 && path->Get()[end - 1] != '/') --end;
  const bool above = end < path->Size();
  OutputPath shorter;
  shorter.Add(path->Get(), end);
  *path = shorter;
  return above && end > 0;
}

// 0, or why no file can be made in `path`; what does not exist yet is judged by the directory it would be made in.
long Writable(OutputPath path) {
  for (;;) {
    struct stat status {};
    long error = sys::Call(SYS_newfstatat, -100 /* AT_FDCWD */, sys::Word(path.Get()), sys::Word(&status), 0);
    if (error == kNoEntry && GoUp(&path)) continue;
    if (sys::Failed(error)) return error;
    if (!S_ISDIR(status.st_mode)) return kNotDirectory;
    return sys::Call(SYS_faccessat, -100 /* AT_FDCWD */, sys::Word(path.Get()), kWriteAndSearch);
  }
}

OutputPath PathOf(const char* output, const char* directory) {
  const char* wish = output[0] != 0 ? output : "leakhunt-data";
  OutputPath path;
  if (wish[0] != '/' && directory[0] != 0) path.Add(directory).Add("/");
  path.Add(wish);
  return path;
}

}  // namespace

long OutputError(const char* output, const char* directory) {
  OutputPath path = PathOf(output, directory);
  return path.Get()[0] == '/' ? Writable(path) : kNoEntry;
}

void SayUnwritable(const char* output, const char* directory, long error) {
  sys::Text<480> line;
  line.Add("cannot write recordings to ").Add(PathOf(output, directory).Get()).Add(": ").Add(Reason(error));
  sys::Log(line.Add("; set LEAKHUNT_OUTPUT").Get());
}

}  // namespace leakhunt::core
