#include "preload/core/process.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "preload/core/governor.h"
#include "preload/core/handles.h"
#include "preload/core/inherited.h"
#include "preload/core/recorded_threads.h"
#include "preload/core/jumps.h"
#include "preload/core/mappings.h"
#include "preload/core/output_check.h"
#include "preload/core/process_identity.h"
#include "preload/core/scopes.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/core/tracker.h"
#include "preload/sys/clock.h"
#include "preload/sys/log.h"
#include "preload/sys/memory.h"
#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/transport/connection.h"

namespace leakhunt::core {

[[gnu::section("leakhunt_hot.process")]] constinit Process g_process;

namespace {

constexpr uint32_t kAlive = 1, kBeginning = 2;
constexpr uint64_t kLeastBytes = 2u << 20, kMostBytes = 1u << 30;

constinit const char* const* g_environment = nullptr;
// Where the program was started; it may go elsewhere, and end before a collector asks. Empty: it was removed, or is too long.
constinit char g_directory[sizeof(protocol::ProcessHeader::directory)] = {};
constinit uint64_t g_directory_device = 0, g_directory_inode = 0;

uint64_t Random() {
  uint64_t value = 0;
  if (sys::Failed(sys::Call(SYS_getrandom, sys::Word(&value), sizeof(value), 1 /* GRND_NONBLOCK */)) || value == 0) {
    value = sys::MonotonicNs() ^ (static_cast<uint64_t>(sys::GetPid()) << 32);
  }
  return value;
}

// The bound of the shared pages: 2 % of the machine or of the tightest cgroup limit, at least two extents. Not touched
// before it is needed.
uint64_t BoundBytes() {
  struct sysinfo info {};
  sys::Call(SYS_sysinfo, sys::Word(&info));
  uint64_t bound = info.totalram * info.mem_unit / 50;
  uint64_t cgroup = CgroupLimitBytes() / 50;
  if (cgroup != 0 && cgroup < bound) bound = cgroup;
  return bound < kLeastBytes ? kLeastBytes : bound > kMostBytes ? kMostBytes : bound;
}

// The page that tells a forked child, however it was forked, that it is one.
bool MakeAlivePage() {
  void* page = sys::MapPrivateWiped(sizeof(uint32_t));
  if (page == nullptr) return false;
  g_process.alive = static_cast<uint32_t*>(page);
  return true;
}

uint64_t FirstInterval(const Options& options) {
  uint64_t wanted = options.sample_bytes != 0 ? options.sample_bytes : kFirstIntervalBytes;
  if (wanted > (uint64_t{1} << 31)) wanted = uint64_t{1} << 31;
  return protocol::DecodeInterval(protocol::EncodeInterval(wanted));
}

void FillHeader(uint32_t flags) {
  protocol::ProcessHeader* header = Header();
  const Options& options = g_process.options;
  header->version = protocol::kLayoutVersion;
  header->flags |= flags | g_process.added_flags;
  header->started_ns = g_process.started_ns;
  header->started_realtime_ns = sys::RealtimeNs();
  header->track = options.track;
  header->budget_ppm = options.sample_bytes != 0 ? 0 : options.budget_ppm;
  header->fixed_interval_bytes = static_cast<uint32_t>(options.sample_bytes);
  header->snapshot_interval_ms = options.interval_ms;
  header->brk_start = header->brk_now = static_cast<uint64_t>(sys::Call(SYS_brk, 0));
  sys::CopyText(header->output, sizeof(header->output), options.output);
  sys::CopyText(header->directory, sizeof(header->directory), g_directory);
  header->directory_device = g_directory_device;
  header->directory_inode = g_directory_inode;
  IdentifyProcess(header);
  SetInterval(g_process.interval_bytes);
  header->activity[0] = {g_process.started_ns, 0};
  header->activity_points = 1;
  sys::StoreRelease(&header->magic, protocol::kLayoutMagic);  // partner: the collector's first look
}

// Everything that belongs to one process: pages, tables, clock origin. For a new image and for a forked child.
bool BeginProcess(uint32_t flags) {
  g_process.pid = static_cast<uint32_t>(sys::GetPid());
  g_process.started_ns = sys::MonotonicNs();
  g_process.seed = g_process.options.seeded ? g_process.options.seed : Random();
  auto* pages = static_cast<transport::Pages*>(sys::Carve(sizeof(transport::Pages)));
  if (pages == nullptr || !pages->Create(g_process.generation, BoundBytes())) return false;
  pages->SetGrowthCheck(CgroupHasRoom);
  g_process.pages = pages;
  g_process.generations[g_process.generation % kGenerationsKept] = {pages, g_process.started_ns};
  g_process.first_extent = pages->At(0);
  transport::SetOwnMemfd(pages->Descriptor());
  ForgetThreadStates();
  ForgetMeasurements();
  ForgetScopes();
  if (!InitializeStacks()) return false;
  FillHeader(flags);
  return true;
}

void Fail(const char* why) {
  sys::Log(why);
  sys::StoreRelease(&g_process.mode, Mode::kOff);
  OpeningsAreUsual();
}

// A forked child's first visit. Other threads of the child pass through meanwhile.
bool BeginChild() {
  if (!sys::CompareExchange(g_process.alive, 0u, kBeginning)) return false;
  protocol::ProcessHeader* parent = Header();
  uint32_t parent_pid = parent->pid, parent_image = parent->image;
  uint64_t parent_start = parent->start_ticks;
  int parent_memfd = g_process.pages->Descriptor();
  if (!g_process.options.follow_children) {
    sys::StoreRelease(&g_process.mode, Mode::kOff);
    return false;
  }
  ++g_process.generation;
  sys::OwnStacksAfterFork();
  transport::ForgetConnection(parent_memfd);
  g_process.live.AfterFork(g_process.generation);
  ForgetInherited();
  if (!BeginProcess(protocol::kFlagForkedChild)) {
    sys::StoreRelease(&g_process.mode, Mode::kOff);
    return false;
  }
  Header()->forked_from_pid = parent_pid;
  Header()->forked_from_image = parent_image;
  Header()->forked_from_start_ticks = parent_start;
  MappingsAfterFork();
  HandlesAfterFork();
  sys::StoreRelease(g_process.alive, kAlive);
  OpeningsAreUsual();
  return true;
}

// Where no stack is to be had, the next visit tries again.
bool ChildBegins() {
  bool begun = false;
  return sys::OnOwnStack([&] { begun = BeginChild(); }) && begun;
}

void ApplySettings(const transport::Settings& settings) {
  Options& options = g_process.options;
  if (!settings.received || options.sampling_from_environment) return;
  options.sample_bytes = settings.fixed_interval;
  if (settings.budget_ppm != 0) options.budget_ppm = settings.budget_ppm;
  if (settings.track != 0) options.track = settings.track & protocol::kTrackAll;
  options.follow_children = settings.follow_children;
  OpeningsAreUsual();
  Header()->track = options.track;
  Header()->budget_ppm = options.sample_bytes != 0 ? 0 : options.budget_ppm;
  Header()->fixed_interval_bytes = static_cast<uint32_t>(options.sample_bytes);
  if (options.sample_bytes != 0) SetInterval(FirstInterval(options));
}

}  // namespace

protocol::ProcessHeader* Header() { return g_process.pages->Header(); }

void CountLoss(uint64_t bytes) {
  if (!ProcessIsAlive()) return;
  sys::AddRelaxed(&Header()->lost_records, uint64_t{1});
  sys::AddRelaxed(&Header()->lost_bytes, bytes);
}

namespace {

void NoteDirectory() {
  struct stat status {};
  if (!sys::WorkingDirectory(g_directory, sizeof(g_directory))) g_directory[0] = 0;
  if (sys::Failed(sys::Call(SYS_newfstatat, -100 /* AT_FDCWD */, sys::Word("."), sys::Word(&status), 0))) return;
  g_directory_device = status.st_dev;
  g_directory_inode = status.st_ino;
}

// The program may change its directory before it connects again.
void CompletePath(char* path, uint32_t capacity) {
  sys::Text<sizeof(g_directory) + 128> whole;
  if (path[0] == 0 || path[0] == '/' || g_directory[0] == 0) return;
  whole.Add(g_directory).Add("/").Add(path);
  if (whole.Size() < capacity) sys::CopyText(path, capacity, whole.Get());
}

// The one thread that may: everything between kUnstarted and recording.
bool Start(const char* const* environment, uint32_t flags) {
  sys::InitializeClock(getauxval(AT_SYSINFO_EHDR));
  sys::LookAtStandardError();
  NoteDirectory();
  ReadEnvironment(environment, &g_process.options);
  CompletePath(g_process.options.socket, sizeof(g_process.options.socket));
  transport::SetRuntimeDirectory(environment);
  if (g_process.options.collector == CollectorMode::kOff) {
    sys::StoreRelease(&g_process.mode, Mode::kOff);
    return false;
  }
  g_process.interval_bytes = FirstInterval(g_process.options);
  unwind::SetModuleCallbacks(PublishModule, RetireModule);
  unwind::Initialize();
  InitializeTracker();
  if (!MakeAlivePage() || !g_process.live.Create(g_process.generation) || !BeginProcess(flags)) {
    Fail("the kernel refuses memory for recording; the program runs without leakhunt");
    return false;
  }
  InitializeHandles((flags & protocol::kFlagInjected) == 0);
  *g_process.alive = kAlive;
  sys::StoreRelease(&g_process.mode, Mode::kRecording);  // partner: Enter
  OpeningsAreUsual();
  return true;
}

// What was recorded before a detach, and may have ended since out of sight.
void ForgetRecords() {
  g_process.live.ForEach([](uint64_t address, const Payload&) { BlockFreedSlow(address); });
  ForgetMappings();
  ForgetThreads();
  HandlesClosing(0, ~0u);
}

bool Resume(const char* const* settings) {
  g_process.options = Options();
  ReadEnvironment(settings, &g_process.options);
  Header()->track = g_process.options.track;
  Header()->budget_ppm = g_process.options.sample_bytes != 0 ? 0 : g_process.options.budget_ppm;
  Header()->fixed_interval_bytes = static_cast<uint32_t>(g_process.options.sample_bytes);
  Header()->snapshot_interval_ms = g_process.options.interval_ms;
  sys::StoreRelease(&g_process.mode, Mode::kRecording);  // partner: Enter
  ForgetRecords();
  OpeningsAreUsual();
  SetInterval(FirstInterval(g_process.options));
  __atomic_fetch_and(&Header()->flags, ~uint32_t{protocol::kFlagDetached}, __ATOMIC_RELEASE);
  return true;
}

}  // namespace

void StartProcess() {
  if (!sys::CompareExchange(&g_process.mode, Mode::kUnstarted, Mode::kStarting)) return;
  // A set-uid program's caller chose its environment; the kernel says so. And leakhunt does not look at itself.
  if (getauxval(AT_SECURE) != 0 || IsLeakhuntItself()) {
    sys::StoreRelease(&g_process.mode, Mode::kOff);
    return;
  }
  ++t_local.busy;
  g_environment = ProcessEnvironment();  // for a collector to be started; the settings of an attach do not outlive it
  void (*const start)(void*) = [](void*) { Start(g_environment, 0); };
  if (!sys::OnOwnStack(start, nullptr)) start(nullptr);  // at the begin of the image there is room
  --t_local.busy;
}

bool AttachProcess(const char* const* settings) {
  if (sys::CompareExchange(&g_process.mode, Mode::kUnstarted, Mode::kStarting)) {
    ++t_local.busy;
    bool started = Start(settings, protocol::kFlagInjected);
    --t_local.busy;
    return started;
  }
  if (sys::CompareExchange(&g_process.mode, Mode::kDetached, Mode::kStarting)) return ProcessIsAlive() && Resume(settings);
  return sys::LoadAcquire(&g_process.mode) == Mode::kRecording;
}

void DetachProcess() {
  if (!sys::CompareExchange(&g_process.mode, Mode::kRecording, Mode::kDetached) || !ProcessIsAlive()) return;
  OpeningsAreUsual();
  __atomic_fetch_or(&Header()->flags, uint32_t{protocol::kFlagDetached}, __ATOMIC_RELEASE);
}

void AddProcessFlags(uint32_t flags) {
  g_process.added_flags |= flags;
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return;
  __atomic_fetch_or(&Header()->flags, flags, __ATOMIC_RELAXED);
}

namespace {

// Nobody answered at the usual places, or a collector of the program's own is wanted.
void WithoutCollector(int memfd, uint32_t image, long output_error) {
  const Options& options = g_process.options;
  switch (options.collector) {
    case CollectorMode::kRun:
      return;
    case CollectorMode::kConnect:
      if (transport::Refused()) return;  // for a reason, which was said
      return sys::Log("no collector listens; recording waits for one at ",
                      options.socket[0] != 0 ? options.socket : "the usual places");
    default:
      if (ReapsChildren()) {
        return sys::Log("no collector is running, and a process that reaps orphans cannot start one; use `leakhunt-collect -- COMMAND`");
      }
      if (output_error != 0) SayUnwritable(options.output, g_directory, output_error);
      transport::Spawn(LibraryPath(), g_environment, memfd, image, output_error != 0);
  }
}

}  // namespace

void ConnectProcess() {
  StartProcess();
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !Enter()) return;
  const Options& options = g_process.options;
  int memfd = g_process.pages->Descriptor();
  uint32_t image = Header()->image;
  transport::Settings settings;
  bool connected = false;
  // The collector of another program of this user may write where this one wants, too: it is then heard before the program goes on.
  const long output_error = options.collector == CollectorMode::kRun ? 0 : OutputError(options.output, g_directory);
  if (options.collector != CollectorMode::kSpawn) {
    auto answer = options.sampling_from_environment && output_error == 0 ? transport::Answer::kOfAnother : transport::Answer::kAwaited;
    connected = transport::Connect(options.socket, memfd, image, answer, &settings);
    ApplySettings(settings);
  }
  if (!connected) WithoutCollector(memfd, image, output_error);
  Leave();
}

// The caller's stack pointer lies so far above the frame address: the saved frame pointer and the return address.
constexpr uint64_t kFrameHead = 16;

bool EnterSlow() {
  ThreadLocal& local = t_local;
  if (local.busy != 0 && !LeftVisit(reinterpret_cast<uint64_t>(__builtin_frame_address(0)) + kFrameHead)) return false;
  Mode mode = sys::LoadAcquire(&g_process.mode);  // partner: StartProcess
  if (__builtin_expect(mode != Mode::kRecording, 0)) {
    if (mode == Mode::kUnstarted) StartProcess();
    mode = sys::LoadAcquire(&g_process.mode);
    if (mode == Mode::kOff) local.countdown = ~uint64_t{0};
    if (mode != Mode::kRecording) return false;
  }
  MarkBusy(&local);  // a signal handler of this thread sees busy before anything below
  if (__builtin_expect(!ProcessIsAlive(), 0) && !ChildBegins()) {
    local.busy = 0;
    return false;
  }
  return true;
}

void SwitchOff(const char* why) {
  if (!sys::CompareExchange(&g_process.mode, Mode::kRecording, Mode::kOff)) return;  // once
  __atomic_fetch_or(&Header()->flags, uint32_t{protocol::kFlagSwitchedOff}, __ATOMIC_RELEASE);
  OpeningsAreUsual();
  sys::Log("switched off for good, the program runs on without it: ", why);
}

void CheckPages() {
  const protocol::ProcessHeader* header = Header();
  if (header->magic != protocol::kLayoutMagic || header->version != protocol::kLayoutVersion || header->pid != g_process.pid) {
    SwitchOff("its shared pages were overwritten");
  }
}

bool SeccompBegins() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || InSharedMemoryChild() || sys::Gated()) return false;
  if (Enter()) {
    ConnectChild();  // what a forked child has to ask the kernel for, it must ask now: later it would be killed for it
    Leave();
  }
  if (ProcessIsAlive()) Header()->flags |= protocol::kFlagSeccomp;
  sys::g_gate.pid = sys::GetPid();
  __atomic_store_n(&sys::g_gate.closed, 1u, __ATOMIC_SEQ_CST);  // partner: Claim in own_stack.cc
  sys::AwaitOwnStacks();  // the filter may be for all threads
  return true;
}

void RootChanges() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || InSharedMemoryChild() || sys::Gated() || !Enter()) return;
  ConnectChild();
  Leave();
}

void SeccompFailed() {
  sys::StoreRelease(&sys::g_gate.closed, 0u);
  if (ProcessIsAlive()) Header()->flags &= ~uint32_t{protocol::kFlagSeccomp};
}

void ObjectsUnloaded() {
  if (!Enter()) return;
  if (!sys::OnOwnStackOrHere([] { unwind::AfterUnload(); })) unwind::AfterUnload();  // what is gone must not be found
  Leave();
}

namespace {

void ConnectChildDeeply() {
  PublishInherited();
  OpeningsAreUsual();
  if (transport::Connected()) return;
  if (transport::SoughtCollector()) return transport::SeekAgain();
  transport::Connect(g_process.options.socket, g_process.pages->Descriptor(), Header()->image, transport::Answer::kNotAwaited,
                     nullptr);
}

}  // namespace

// Where no stack is to be had, the next of the occasions to connect does it.
void ConnectChild() {
  if (IsForkedChild()) (void)sys::OnOwnStackOrHere([] { ConnectChildDeeply(); });
}

void ProcessExits(int status) {
  // Not in vfork children: they end alone, in their parent's memory.
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || static_cast<uint32_t>(sys::GetPid()) != g_process.pid) return;
  EndThreadsThatEnded();
  if (!Enter()) return;
  ConnectChild();
  (void)sys::OnOwnStack([] { ListHandlesAtExit(); });  // where there is no stack, the list is what was recorded
  PublishFallbackWalks();
  Header()->exit_status = status;
  sys::StoreRelease(&Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kExit));
  transport::ListenOnce();
  transport::Tell(protocol::MessageKind::kBye, static_cast<uint64_t>(protocol::ImageEnd::kExit), static_cast<uint64_t>(status), nullptr);
  Leave();
}

void ProcessExecs() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive() ||
      static_cast<uint32_t>(sys::GetPid()) != g_process.pid) {
    return;
  }
  sys::StoreRelease(&Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kExec));
}

void ProcessExecFailed() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive() ||
      static_cast<uint32_t>(sys::GetPid()) != g_process.pid) {
    return;
  }
  sys::StoreRelease(&Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kRunning));
}

}  // namespace leakhunt::core
