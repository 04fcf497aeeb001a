// One stopped thread of another process, by ptrace(2): its registers and its process's memory.
//
// The other threads run on. Everything here is to be called from one thread, the tracer. What the thread was doing goes
// on as if nothing had happened: an interrupted system call is repeated (signal(7), "Interruption of system calls";
// also those that the kernel answers with EINTR at a mere stop, when no signal is waiting).
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::attach {

// A process's memory through /proc/PID/mem: written whatever its protection, as ptrace would.
class RemoteMemory {
 public:
  static Result<RemoteMemory> Open(pid_t pid);
  bool Read(uint64_t address, void* to, size_t bytes) const;
  bool Write(uint64_t address, const void* from, size_t bytes) const;
  // A text that ends within `most` bytes; what can be read of it.
  std::string ReadText(uint64_t address, size_t most = 512) const;

 private:
  explicit RemoteMemory(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

class TracedThread {
 public:
  enum class Event { kNone, kSignal, kStopped, kGone };

  // Stops `tid` within `patience_ms`. Error: gone, or not to be stopped now; or not permitted, then *refused is set.
  static Result<TracedThread> Stop(pid_t pid, pid_t tid, int patience_ms, bool* refused);
  TracedThread(TracedThread&& other) noexcept;
  TracedThread& operator=(TracedThread&&) = delete;
  ~TracedThread();  // lets it run on, untraced, as it was

  bool IsStopped() const { return tid_ != 0 && stopped_; }
  // As the thread was stopped.
  const user_regs_struct& Registers() const { return registers_; }
  // With which the thread goes on where it was: Registers(), with an interrupted system call to be made again.
  user_regs_struct ResumeRegisters() const;

  // Makes one system call in the stopped thread; `instruction`: address of a `syscall` instruction. The kernel's answer.
  Result<int64_t> Call(uint64_t instruction, int64_t number, const uint64_t (&arguments)[6]);

  // Lets the thread run from `registers`; then Next() tells what comes.
  Status Run(const user_regs_struct& registers);
  // What happened since, without waiting. kSignal: the signal is in *signal, Continue decides.
  Event Next(int* signal, bool* is_fault);
  void Continue(int signal);
  // Stops the running thread again and notes where; false when it is gone or does not stop in time.
  bool StopAgain(int patience_ms);
  // Puts everything back as it was at Stop, registers of every kind; for a thread that faulted on our way.
  void Restore();

 private:
  TracedThread(pid_t pid, pid_t tid) : pid_(pid), tid_(tid) {}
  bool WaitForStop(int patience_ms);
  bool Note();
  bool HasPendingSignal() const;

  pid_t pid_ = 0, tid_ = 0;
  bool stopped_ = false, changed_ = false;
  user_regs_struct registers_{};
  std::string vector_state_;  // NT_X86_XSTATE
};

}  // namespace leakhunt::attach
