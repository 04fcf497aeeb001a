#include "collector/attach/traced_thread.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "collector/watch/proc_directory.h"

namespace leakhunt::attach {
namespace {

// Kernel-internal answers of an interrupted system call (include/linux/errno.h).
constexpr int64_t kRestartSys = -512, kRestartNoIntr = -513, kRestartNoHand = -514, kRestartBlock = -516;
constexpr uint64_t kSyscallInstructionBytes = 2;
constexpr size_t kVectorStateBytes = 16384;

std::string TaskDirectory(pid_t pid, pid_t tid) {
  return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid);
}

// Of signal(7): these end with EINTR when the thread is stopped and continued, though no handler ran.
bool EndsAtStop(uint64_t number) {
  switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_rt_sigtimedwait: return true;
    default: return false;
  }
}

// The kernel calls a thread that is about to be gone, or waits to be reaped, not permitted, too.
bool IsEnding(pid_t pid, pid_t tid) {
  const auto text = watch::ReadFile(TaskDirectory(pid, tid) + "/stat");
  const auto stat = text ? watch::ParseProcessStat(*text) : std::nullopt;
  return !stat || stat->state == 'Z' || stat->state == 'X';
}

uint64_t HexAfter(const std::string& text, const char* key) {
  size_t at = text.find(key);
  if (at == std::string::npos) return 0;
  return strtoull(text.c_str() + at + std::strlen(key), nullptr, 16);
}

}  // namespace

Result<RemoteMemory> RemoteMemory::Open(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid) + "/mem";
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.Valid()) return ErrnoError("cannot open " + path, errno);
  return RemoteMemory(std::move(fd));
}

bool RemoteMemory::Read(uint64_t address, void* to, size_t bytes) const {
  return pread(fd_.Get(), to, bytes, static_cast<off_t>(address)) == static_cast<ssize_t>(bytes);
}

bool RemoteMemory::Write(uint64_t address, const void* from, size_t bytes) const {
  return pwrite(fd_.Get(), from, bytes, static_cast<off_t>(address)) == static_cast<ssize_t>(bytes);
}

std::string RemoteMemory::ReadText(uint64_t address, size_t most) const {
  std::string text;
  for (char c; text.size() < most && Read(address + text.size(), &c, 1) && c != 0;) text.push_back(c);
  return text;
}

Result<TracedThread> TracedThread::Stop(pid_t pid, pid_t tid, int patience_ms, bool* refused) {
  if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
    const int why = errno;
    *refused = why == EPERM && !IsEnding(pid, tid);
    return ErrnoError("cannot trace process " + std::to_string(pid), why);
  }
  TracedThread thread(pid, tid);
  if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0 || !thread.WaitForStop(patience_ms)) {
    return Error{"thread " + std::to_string(tid) + " does not stop"};
  }
  if (!thread.Note()) return ErrnoError("cannot read the registers of thread " + std::to_string(tid), errno);
  return thread;
}

TracedThread::TracedThread(TracedThread&& other) noexcept
    : pid_(other.pid_),
      tid_(std::exchange(other.tid_, 0)),
      stopped_(other.stopped_),
      changed_(other.changed_),
      registers_(other.registers_),
      vector_state_(std::move(other.vector_state_)) {}

TracedThread::~TracedThread() {
  if (tid_ == 0) return;
  if (!stopped_ && ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) == 0) WaitForStop(1000);
  if (!stopped_) return;  // the kernel lets go of it when the tracer ends
  if (!changed_ && Note()) {
    user_regs_struct resume = ResumeRegisters();
    if (resume.rip != registers_.rip) ptrace(PTRACE_SETREGS, tid_, nullptr, &resume);
  }
  ptrace(PTRACE_DETACH, tid_, nullptr, nullptr);
}

bool TracedThread::WaitForStop(int patience_ms) {
  for (int waited = 0; waited <= patience_ms; ++waited) {
    int status = 0;
    pid_t seen = waitpid(tid_, &status, WNOHANG | __WALL);
    if (seen < 0) return false;
    if (seen == tid_ && !WIFSTOPPED(status)) return tid_ = 0, false;
    if (seen == tid_) {
      bool event = status >> 16 == PTRACE_EVENT_STOP;
      if (event) return stopped_ = true;
      ptrace(PTRACE_CONT, tid_, nullptr, WSTOPSIG(status));  // a signal of the program's, on its way
    } else {
      poll(nullptr, 0, 1);
    }
  }
  return false;
}

bool TracedThread::Note() {
  if (ptrace(PTRACE_GETREGS, tid_, nullptr, &registers_) != 0) return false;
  vector_state_.resize(kVectorStateBytes);
  iovec vector{vector_state_.data(), vector_state_.size()};
  if (ptrace(PTRACE_GETREGSET, tid_, NT_X86_XSTATE, &vector) != 0) return false;
  vector_state_.resize(vector.iov_len);
  return true;
}

bool TracedThread::HasPendingSignal() const {
  auto status = watch::ReadFile(TaskDirectory(pid_, tid_) + "/status");
  if (!status) return true;
  return ((HexAfter(*status, "SigPnd:\t") | HexAfter(*status, "ShdPnd:\t")) & ~HexAfter(*status, "SigBlk:\t")) != 0;
}

user_regs_struct TracedThread::ResumeRegisters() const {
  user_regs_struct resume = registers_;
  auto number = static_cast<int64_t>(resume.orig_rax);
  auto answer = static_cast<int64_t>(resume.rax);
  resume.orig_rax = ~0ull;
  if (number < 0) return resume;
  bool again = answer == kRestartSys || answer == kRestartNoIntr || answer == kRestartNoHand ||
               (answer == -EINTR && EndsAtStop(static_cast<uint64_t>(number)) && !HasPendingSignal());
  if (again) resume.rax = static_cast<uint64_t>(number);
  if (answer == kRestartBlock) resume.rax = SYS_restart_syscall;
  if (again || answer == kRestartBlock) resume.rip -= kSyscallInstructionBytes;
  return resume;
}

Result<int64_t> TracedThread::Call(uint64_t instruction, int64_t number, const uint64_t (&arguments)[6]) {
  // Signals wait meanwhile; not the one a single step ends with, which may not be blocked.
  uint64_t all_but_trap = ~(uint64_t{1} << (SIGTRAP - 1)), mask = 0;
  if (ptrace(PTRACE_GETSIGMASK, tid_, sizeof(mask), &mask) != 0 ||
      ptrace(PTRACE_SETSIGMASK, tid_, sizeof(all_but_trap), &all_but_trap) != 0) {
    return ErrnoError("cannot hold back the signals of thread " + std::to_string(tid_), errno);
  }
  user_regs_struct call = registers_;
  call.rip = instruction;
  call.rax = static_cast<uint64_t>(number);
  call.orig_rax = ~0ull;
  call.rdi = arguments[0];
  call.rsi = arguments[1];
  call.rdx = arguments[2];
  call.r10 = arguments[3];
  call.r8 = arguments[4];
  call.r9 = arguments[5];
  changed_ = true;
  Result<int64_t> answer = Error{"a system call in thread " + std::to_string(tid_) + " did not come back"};
  if (ptrace(PTRACE_SETREGS, tid_, nullptr, &call) == 0 && ptrace(PTRACE_SINGLESTEP, tid_, nullptr, nullptr) == 0) {
    int status = 0;
    if (waitpid(tid_, &status, __WALL) == tid_ && WIFSTOPPED(status)) {
      user_regs_struct after{};
      if (ptrace(PTRACE_GETREGS, tid_, nullptr, &after) == 0 && after.rip == instruction + kSyscallInstructionBytes) {
        answer = static_cast<int64_t>(after.rax);
      }
    } else {
      tid_ = 0;
      return Error{"process " + std::to_string(pid_) + " ended meanwhile"};
    }
  }
  ptrace(PTRACE_SETSIGMASK, tid_, sizeof(mask), &mask);
  user_regs_struct resume = ResumeRegisters();
  ptrace(PTRACE_SETREGS, tid_, nullptr, &resume);
  return answer;
}

Status TracedThread::Run(const user_regs_struct& registers) {
  changed_ = true;
  if (ptrace(PTRACE_SETREGS, tid_, nullptr, &registers) != 0 || ptrace(PTRACE_CONT, tid_, nullptr, nullptr) != 0) {
    return ErrnoError("cannot run thread " + std::to_string(tid_), errno);
  }
  stopped_ = false;
  return Ok();
}

TracedThread::Event TracedThread::Next(int* signal, bool* is_fault) {
  int status = 0;
  pid_t seen = waitpid(tid_, &status, WNOHANG | __WALL);
  if (seen == 0) return Event::kNone;
  if (seen < 0 || !WIFSTOPPED(status)) return tid_ = 0, Event::kGone;
  if (status >> 16 == PTRACE_EVENT_STOP) {
    if (WSTOPSIG(status) == SIGTRAP) {
      ptrace(PTRACE_CONT, tid_, nullptr, nullptr);
    } else {
      ptrace(PTRACE_LISTEN, tid_, nullptr, nullptr);  // somebody stopped the process: it stays stopped until SIGCONT
    }
    return Event::kNone;
  }
  stopped_ = true;
  *signal = WSTOPSIG(status);
  siginfo_t info{};
  ptrace(PTRACE_GETSIGINFO, tid_, nullptr, &info);
  bool fatal = *signal == SIGSEGV || *signal == SIGBUS || *signal == SIGILL || *signal == SIGFPE || *signal == SIGSYS;
  *is_fault = fatal && info.si_code > 0;
  return Event::kSignal;
}

void TracedThread::Continue(int signal) {
  ptrace(PTRACE_CONT, tid_, nullptr, signal);
  stopped_ = false;
}

bool TracedThread::StopAgain(int patience_ms) {
  if (tid_ == 0) return false;
  if (!stopped_ && (ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) != 0 || !WaitForStop(patience_ms))) return false;
  changed_ = false;
  return Note();
}

void TracedThread::Restore() {
  iovec vector{vector_state_.data(), vector_state_.size()};
  ptrace(PTRACE_SETREGSET, tid_, NT_X86_XSTATE, &vector);
  user_regs_struct resume = ResumeRegisters();
  ptrace(PTRACE_SETREGS, tid_, nullptr, &resume);
  changed_ = true;
}

}  // namespace leakhunt::attach
