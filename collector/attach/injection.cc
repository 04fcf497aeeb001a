#include "collector/attach/injection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

#include "collector/attach/call_stub.h"
#include "collector/attach/safe_point.h"
#include "collector/attach/target.h"
#include "collector/attach/traced_thread.h"
#include "collector/supervise/launch.h"
#include "collector/watch/proc_directory.h"
#include "preload/protocol/attachment.h"

namespace leakhunt::attach {
namespace {

using protocol::AttachResult;

constexpr int kStopPatienceMs = 100;
constexpr int64_t kSearchMs = 10'000;   // for a thread in the right place
constexpr int64_t kStartMs = 1000;      // for a process that has just begun to have its C library
constexpr int64_t kCallMs = 30'000;     // for the library to be loaded
constexpr uint64_t kStackBytes = 256 * 1024, kCodeBytes = 4096;

int64_t SteadyMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::string Named(pid_t pid) { return "process " + std::to_string(pid); }

// What is to be done in the process: `function` of the library, with texts.
struct Order {
  std::string library, function;
  std::vector<std::string> settings;
};

// The texts and the CallBlock as they lie at `base` in the process.
class Parcel {
 public:
  Parcel(uint64_t base, const Order& order, const TargetFunctions& functions, const user_regs_struct& resume) : base_(base) {
    bytes_.resize(sizeof(CallBlock));
    block_.dlopen = functions.dlopen;
    block_.dlopen_flags = functions.dlopen_flags;
    block_.dlsym = functions.dlsym;
    block_.dlerror = functions.dlerror;
    block_.errno_location = functions.errno_location;
    block_.library_path = Add(order.library);
    block_.function_name = Add(order.function);
    std::vector<uint64_t> list;
    for (const std::string& setting : order.settings) list.push_back(Add(setting));
    list.push_back(0);
    bytes_.resize((bytes_.size() + 15) & ~size_t{15});
    block_.argument = base_ + bytes_.size();
    bytes_.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(uint64_t));
    SetResume(resume, &block_);
    std::memcpy(bytes_.data(), &block_, sizeof(block_));
  }
  const std::string& Bytes() const { return bytes_; }

 private:
  uint64_t Add(const std::string& text) {
    uint64_t address = base_ + bytes_.size();
    bytes_.append(text.c_str(), text.size() + 1);
    return address;
  }

  uint64_t base_;
  std::string bytes_;
  CallBlock block_{};
};

// Memory of the process's own that the call needs: the stub's code, and the block below a stack. Given back at the end.
class Scratch {
 public:
  static Result<Scratch> Make(TracedThread* thread, uint64_t instruction) {
    Scratch scratch;
    scratch.instruction_ = instruction;
    auto data = Map(thread, instruction, kStackBytes, PROT_READ | PROT_WRITE);
    if (!data) return data.error();
    scratch.data_ = *data;
    auto code = Map(thread, instruction, kCodeBytes, PROT_READ | PROT_EXEC);
    if (!code) return scratch.Release(thread), code.error();
    scratch.code_ = *code;
    return scratch;
  }

  void Release(TracedThread* thread) {
    if (data_ != 0) (void)thread->Call(instruction_, SYS_munmap, {data_, kStackBytes, 0, 0, 0, 0});
    if (code_ != 0) (void)thread->Call(instruction_, SYS_munmap, {code_, kCodeBytes, 0, 0, 0, 0});
    data_ = code_ = 0;
  }

  uint64_t Data() const { return data_; }
  uint64_t Code() const { return code_; }
  // The block is at the start; the stack grows down towards it. 16-byte aligned, as at a call's end (psABI).
  uint64_t StackTop() const { return data_ + kStackBytes; }
  bool Holds(uint64_t pc) const { return pc >= code_ && pc < code_ + kCodeBytes; }

 private:
  static Result<uint64_t> Map(TracedThread* thread, uint64_t instruction, uint64_t bytes, int protection) {
    auto answer = thread->Call(instruction, SYS_mmap,
                               {0, bytes, static_cast<uint64_t>(protection), MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0});
    if (!answer) return answer.error();
    if (*answer < 0 && *answer > -4096) return ErrnoError("the process gets no memory", static_cast<int>(-*answer));
    return static_cast<uint64_t>(*answer);
  }

  uint64_t data_ = 0, code_ = 0, instruction_ = 0;
};

// Lets the thread run the stub until it is back where it was; stopped then, unless it has ended since.
Status AwaitCall(TracedThread* thread, const RemoteMemory& memory, const Scratch& scratch, CallBlock* block) {
  int64_t deadline = SteadyMs() + kCallMs;
  for (bool gone = false;;) {
    int signal = 0;
    bool is_fault = false;
    switch (gone ? TracedThread::Event::kNone : thread->Next(&signal, &is_fault)) {
      case TracedThread::Event::kGone: gone = true; break;  // the thread has come back, and then to its end; or the process
      case TracedThread::Event::kSignal:
        if (is_fault) {
          thread->Restore();
          return Error{"loading the library there faulted (signal " + std::to_string(signal) + "); it runs on as before"};
        }
        thread->Continue(signal);
        continue;
      default: break;
    }
    if (!memory.Read(scratch.Data() + offsetof(CallBlock, done), &block->done, sizeof(block->done)))
      return Error{"its memory cannot be read any more"};
    if (block->done != 0) break;
    if (gone) return Error{"it ended meanwhile"};
    if (SteadyMs() > deadline) return Error{"its loader is busy; the library may still come in later"};
    poll(nullptr, 0, 1);
  }
  if (!memory.Read(scratch.Data(), block, offsetof(CallBlock, vectors))) return Error{"its memory cannot be read any more"};
  for (int i = 0; i < 1000; ++i) {  // `done` is set some instructions before the way back ends
    if (!thread->StopAgain(kStopPatienceMs)) return Ok();  // it has come to its end
    if (!scratch.Holds(thread->Registers().rip)) return Ok();
    thread->Continue(0);
    poll(nullptr, 0, 1);
  }
  return Error{"its thread does not come back"};
}

Status Judge(const CallBlock& block, const RemoteMemory& memory, AttachResult wanted) {
  if (block.library == 0) {
    std::string why = block.error_text != 0 ? memory.ReadText(block.error_text) : "no reason given";
    return Error{"its loader refuses the library: " + why};
  }
  if (block.function == 0) return Error{"the library there is another version's: restart the program to get rid of it"};
  auto result = static_cast<AttachResult>(static_cast<int32_t>(block.result));
  if (result == wanted) return Ok();
  switch (result) {
    case AttachResult::kPreloaded:
      return Error{"it was started with libleakhunt.so but does not record (LEAKHUNT_COLLECTOR=off?): restart it"};
    case AttachResult::kNothingToRedirect: return Error{"none of its objects calls the C library through import tables"};
    case AttachResult::kUnloading: return Error{"it has been unloading a library for a second: try again"};
    default: return Error{"the library cannot record there: no memory, or it had switched itself off"};
  }
}

// Where the thread that was used has ended. A system call may be made anywhere, so any thread will do.
void ReleaseByAnother(pid_t pid, Scratch* scratch) {
  auto directory = watch::ProcDirectory::Open(pid);
  if (!directory) return;
  for (int tid : directory->Numbers("task").value_or(std::vector<int>{})) {
    bool refused = false;
    auto thread = TracedThread::Stop(pid, tid, kStopPatienceMs, &refused);
    if (thread) return scratch->Release(&*thread);
  }
}

Status CallIn(TracedThread* thread, pid_t pid, const TargetFunctions& functions, const Order& order, AttachResult wanted) {
  auto memory = RemoteMemory::Open(pid);
  if (!memory) return memory.error();
  auto scratch = Scratch::Make(thread, functions.syscall_instruction);
  if (!scratch) return scratch.error();
  user_regs_struct resume = thread->ResumeRegisters();
  Parcel parcel(scratch->Data(), order, functions, resume);
  std::string code = CallStub(resume.rip);
  if (parcel.Bytes().size() > kStackBytes / 2 || !memory->Write(scratch->Data(), parcel.Bytes().data(), parcel.Bytes().size()) ||
      !memory->Write(scratch->Code(), code.data(), code.size())) {
    scratch->Release(thread);
    return Error{"its memory cannot be written"};
  }
  user_regs_struct start = resume;
  start.rip = scratch->Code();
  start.rbx = scratch->Data();
  start.rsp = scratch->StackTop();
  CallBlock block{};
  Status ran = thread->Run(start);
  if (ran) ran = AwaitCall(thread, *memory, *scratch, &block);
  if (!ran) return ran;  // the memory stays: somebody may be in it
  Status judged = Judge(block, *memory, wanted);
  if (thread->IsStopped()) scratch->Release(thread);
  else ReleaseByAnother(pid, &*scratch);
  return judged;
}

std::string PermissionAdvice(const std::string& error) {
  auto scope = watch::ReadFile("/proc/sys/kernel/yama/ptrace_scope");
  bool restricted = scope && !scope->empty() && (*scope)[0] != '0';
  return error + (restricted ? "; the kernel lets only root trace it (kernel.yama.ptrace_scope): run leakhunt-collect as root"
                             : "; run leakhunt-collect as its user or as root (CAP_SYS_PTRACE)");
}

// Tries its threads, the first one first, until one is in the right place.
Status CallSomewhere(pid_t pid, const Order& order, AttachResult wanted) {
  auto functions = FindFunctions(pid);
  for (int64_t end = SteadyMs() + kStartMs; !functions && SteadyMs() < end; poll(nullptr, 0, 20)) functions = FindFunctions(pid);
  if (!functions) return functions.error();
  auto directory = watch::ProcDirectory::Open(pid);
  if (!directory) return Error{"it has ended"};
  int64_t deadline = SteadyMs() + kSearchMs;
  std::string last = "no thread of it could be stopped";
  do {
    auto points = SafePoint::Of(pid);
    if (!points) return points.error();
    for (int tid : directory->Numbers("task").value_or(std::vector<int>{})) {
      bool refused = false;
      auto thread = TracedThread::Stop(pid, tid, kStopPatienceMs, &refused);
      if (refused) return Error{PermissionAdvice(thread.error().message)};
      if (!thread) {
        last = thread.error().message;
        continue;
      }
      if (points->IsAt(tid)) return CallIn(&*thread, pid, *functions, order, wanted);
      last = "none of its threads was seen outside of the allocator and the loader in " + std::to_string(kSearchMs / 1000) +
             " s: try again";
    }
    poll(nullptr, 0, 5);
  } while (SteadyMs() < deadline && directory->Read("stat"));
  return Error{last};
}

// Runs `work` in a child; its error, if any, comes back as text.
Status InChild(const std::function<Status()>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("pipe", errno);
  UniqueFd reading(ends[0]), writing(ends[1]);
  pid_t child = fork();
  if (child < 0) return ErrnoError("fork", errno);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    reading.Reset();
    Status done = work();
    std::string text = done ? "ok" : "!" + done.error().message;
    _exit(write(writing.Get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  writing.Reset();
  std::string text;
  char buffer[1024];
  for (ssize_t bytes; (bytes = read(reading.Get(), buffer, sizeof(buffer))) > 0 || (bytes < 0 && errno == EINTR);) {
    if (bytes > 0) text.append(buffer, static_cast<size_t>(bytes));
  }
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (text == "ok") return Ok();
  return Error{text.empty() ? "the attaching process was killed" : text.substr(1)};
}

std::vector<std::string> SettingsFor(const Options& options) {
  std::vector<std::string> settings = supervise::RecordingVariables(options);
  // Its children have the library in their memory, but no way to this collector.
  for (const char* setting : {"LEAKHUNT_CHILDREN=ignore", "LEAKHUNT_COLLECTOR=connect"}) settings.emplace_back(setting);
  return settings;
}

Status CallInProcess(pid_t pid, const char* function, std::vector<std::string> settings, AttachResult wanted) {
  std::filesystem::path library = supervise::FindLibrary();
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::canonical(library, ignored);
  if (!ignored) library = whole;
  if (Status ready = CheckTarget(pid, library); !ready) return ready;
  Order order{library.native(), function, std::move(settings)};
  Status done = InChild([&] { return CallSomewhere(pid, order, wanted); });
  return done ? done : Status(Error{"cannot attach to " + Named(pid) + ": " + done.error().message});
}

}  // namespace

Status Inject(pid_t pid, const Options& options) {
  return CallInProcess(pid, "leakhunt_v1_attach", SettingsFor(options), AttachResult::kRecording);
}

Status TakeOff(pid_t pid) { return CallInProcess(pid, "leakhunt_v1_detach", {}, AttachResult::kDetached); }

}  // namespace leakhunt::attach
