#include "preload/sys/log.h"

#include <fcntl.h>

#include "preload/sys/atomic.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

namespace leakhunt::sys {
namespace {

constexpr uint32_t kMaxLines = 16;
constinit char g_path[256] = {};
constinit bool g_off = false;
constinit bool g_no_stderr = false;
constinit uint32_t g_lines = 0;

}  // namespace

void SetLogTarget(const char* target) {
  g_off = Equal(target, "off");
  g_path[0] = 0;
  if (g_off || Equal(target, "stderr")) return;
  Text<sizeof(g_path)> path;
  char directory[sizeof(g_path)];
  if (target[0] != '/' && WorkingDirectory(directory, sizeof(directory))) path.Add(directory).Add("/");
  path.Add(target);
  CopyText(g_path, sizeof(g_path), path.Size() + 1 < sizeof(g_path) ? path.Get() : target);
}

void LookAtStandardError() { g_no_stderr = Call(SYS_fcntl, 2, F_GETFD) == -9 /* EBADF */; }

void Log(const char* message, const char* detail) {
  if (g_off || AddRelaxed(&g_lines, 1u) >= kMaxLines) return;
  Text<512> line;
  line.Add("leakhunt: ").Add(message).Add(detail).Add("\n");
  if (g_path[0] == 0) {
    if (!g_no_stderr) Write(2, line.Get(), line.Size());
    return;
  }
  long fd = Open(g_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (Failed(fd)) return;
  Write(static_cast<int>(fd), line.Get(), line.Size());
  Close(static_cast<int>(fd));
}

}  // namespace leakhunt::sys
