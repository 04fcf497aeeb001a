// Closing: a handle is out of the table before the real call and never put back. EINTR and EIO mean closed, too; EBADF
// means that it had been closed out of sight.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/core/usual_handles.h"
#include "preload/hooks/closing.h"
#include "preload/hooks/handle_hook.h"
#include "preload/hooks/kernel_entry.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/transport/connection.h"

using namespace leakhunt;
using hooks::CallReal;

namespace {

constexpr unsigned kUnshare = 2, kCloexec = 4;  // CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC

LEAKHUNT_HOT_REAL(real_close, "close", int(int));
LEAKHUNT_REAL hooks::Real<int(unsigned, unsigned, int)> real_close_range("close_range");
LEAKHUNT_REAL hooks::Real<void(int)> real_closefrom("closefrom");
LEAKHUNT_REAL hooks::Real<int(mqd_t)> real_mq_close("mq_close");

__attribute__((constructor)) void Find() { hooks::FindAll(real_close, real_close_range, real_closefrom); }

constinit uint32_t g_lists_descriptors = 0;

// /proc/self/fd, /proc/PID/fd, /dev/fd, and the same with a slash at the end.
bool IsDescriptorList(const char* path) {
  if (!sys::StartsWith(path, "/proc/") && !sys::StartsWith(path, "/dev/fd")) return false;
  uint64_t end = sys::Length(path);
  while (path[end - 1] == '/') --end;
  return path[end - 1] == 'd' && path[end - 2] == 'f' && path[end - 3] == '/';
}

// musl has no such function; Linux has had the call since 5.9.
int CloseRange(unsigned first, unsigned last, int flags) {
  if (real_close_range.Get() != nullptr) return CallReal(real_close_range, first, last, flags);
  long result = sys::CallForProgram(SYS_close_range, first, last, flags);
  if (!sys::Failed(result)) return 0;
  errno = static_cast<int>(-result);
  return -1;
}

LEAKHUNT_ASIDE int CloseSomehow(int fd) {
  int answer = 0;
  if (hooks::KeepsFromClosing(fd, &answer)) return answer;
  core::HandleClosing(fd);
  return real_close(fd);
}

[[gnu::always_inline]] inline int Close(int fd) {
  static_assert(transport::kNearNumbers == core::kDescriptorFanOut);
  const uint32_t number = static_cast<uint32_t>(fd);
  if (__builtin_expect(number < transport::g_own.lowest, 1) &&
      __builtin_expect(core::ClosingAsUsual(&core::g_first_descriptors.words[number]), 1)) {
    return hooks::LibcOnlyEnters() ? hooks::AsLibcReturns(sys::CallForProgram(SYS_close, fd)) : real_close(fd);
  }
  return CloseSomehow(fd);
}

}  // namespace

namespace leakhunt::hooks {

// errno is left alone otherwise: a child made by clone may have none.
bool KeepsOwn(int fd) {
  if (__builtin_expect(!transport::IsOwnDescriptor(fd), 1) || core::InSharedMemoryChild()) return false;
  errno = EBADF;
  return true;
}

bool KeepsFromClosing(int fd, int* answer) {
  if (__builtin_expect(!transport::IsOwnDescriptor(fd), 1) || core::InSharedMemoryChild()) return false;
  *answer = sys::LoadRelaxed(&g_lists_descriptors) != 0 ? 0 : -1;
  if (*answer != 0) errno = EBADF;
  return true;
}

void NoteDirectory(const char* path) {
  if (path != nullptr && path[0] == '/' && IsDescriptorList(path)) sys::StoreRelaxed(&g_lists_descriptors, 1u);
}

void UnsharesFirst(int flags) {
  if ((static_cast<unsigned>(flags) & kUnshare) == 0 || core::InSharedMemoryChild()) return;
  if (sys::Call(SYS_unshare, CLONE_FILES) == 0) core::DescriptorsUnshared();
}

bool ClosesNothing(unsigned first, unsigned last, int flags) {
  return first > last || (static_cast<unsigned>(flags) & kCloexec) != 0 || core::InSharedMemoryChild();
}

}  // namespace leakhunt::hooks

LEAKHUNT_HOOK LEAKHUNT_HOT int close(int fd) { return Close(fd); }
LEAKHUNT_HOOK int __close(int fd) { return Close(fd); }

LEAKHUNT_HOOK int close_range(unsigned first, unsigned last, int flags) noexcept {
  return hooks::CloseRangeBy(first, last, flags, [&](unsigned from, unsigned to) { return CloseRange(from, to, flags); });
}

LEAKHUNT_HOOK void closefrom(int low) noexcept {
  if (core::InSharedMemoryChild()) return CallReal(real_closefrom, low);
  unsigned first = low < 0 ? 0 : static_cast<unsigned>(low);
  core::HandlesClosing(first, INT_MAX);
  // closefrom itself cannot leave ours out; where there is no close_range (before Linux 5.9), ours goes too.
  int saved = errno;
  if (hooks::AroundOurs(first, UINT_MAX, [&](unsigned from, unsigned to) { return CloseRange(from, to, 0); }) != 0) {
    CallReal(real_closefrom, low);
  }
  errno = saved;
}

LEAKHUNT_HOOK int mq_close(mqd_t queue) noexcept {
  if (hooks::KeepsOwn(queue)) return -1;
  core::HandleClosing(queue);
  return CallReal(real_mq_close, queue);
}
