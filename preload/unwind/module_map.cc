// The table behind module_map.h: slots claimed by CAS, announced, given up after an unload, used again.
#include "preload/unwind/module_map.h"

#include <link.h>

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/memory.h"
#include "preload/sys/text.h"
#include "preload/unwind/frame_section.h"
#include "preload/unwind/loaded_object.h"
#include "preload/unwind/rule_cache.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kMaxModules = 2048;
constexpr uint32_t kBusySpins = 20'000;  // ~ 0.5 ms

// kAbandoned: who waited for the slot to be filled gave up; who fills it makes it kGone.
enum ClaimState : uint64_t { kUnused = 0, kFilling = 1, kReady = 2, kGone = 3, kAbandoned = 4 };
constexpr uint64_t kStateMask = 0xF;
constexpr uint64_t kTurn = 0x10;       // bits 4-11 count the slot's tenants
constexpr uint64_t kTurnMask = 0xFF0;
constexpr uint64_t kStartMask = ~uint64_t{0xFFF};

constexpr uint32_t kMaxBuildId = 64;
constexpr uint32_t kMaxPath = 1024;

// `info` refers to the copies below and never to the object: whoever visits modules later (a forked child) may come when
// another thread has unmapped the object and the loader has freed its name.
struct Module {
  UnwindSections sections;
  ModuleInfo info;
  uint64_t identity, probe;
  uint8_t build_id[kMaxBuildId];
  char* path;               // of the slot; kept for its next tenant
  uint32_t path_capacity;
};

// Claims apart from bodies: a search touches eight of them a cache line. A claim is start | turn | state; it is
// release-stored as kReady after the body, and re-read after the body was copied.
constinit uint64_t g_claims[kMaxModules] = {};
constinit Module* g_modules = nullptr;
constinit ModuleSeen g_seen = nullptr;
constinit ModuleGone g_gone = nullptr;

void ReadBuildId(uint64_t at, uint64_t end, Module* module) {
  SectionReader reader(at, end);
  while (!reader.AtEnd()) {
    uint32_t name_bytes = reader.Read<uint32_t>(), bytes = reader.Read<uint32_t>(), type = reader.Read<uint32_t>();
    uint64_t name = reader.position();
    reader.Skip((uint64_t{name_bytes} + 3) & ~uint64_t{3});
    uint64_t content = reader.position();
    reader.Skip((uint64_t{bytes} + 3) & ~uint64_t{3});
    if (!reader.ok()) return;
    if (type != NT_GNU_BUILD_ID || name_bytes != 4 || bytes == 0 || bytes > kMaxBuildId) continue;
    if (!sys::Equal(reinterpret_cast<const char*>(name), "GNU")) continue;
    sys::Copy(module->build_id, reinterpret_cast<const void*>(content), bytes);
    module->info.build_id = module->build_id;
    module->info.build_id_bytes = bytes;
    return;
  }
}

// A path that finds no memory is "": the module is known by its build-id all the same.
void CopyPath(const char* path, Module* module) {
  uint32_t bytes = 0;
  while (bytes < kMaxPath && path[bytes] != 0) ++bytes;
  if (bytes >= module->path_capacity) {
    const uint32_t capacity = (bytes + 64) & ~63u;
    auto* memory = static_cast<char*>(sys::Carve(capacity));
    if (memory == nullptr) {
      module->info.path = "";
      return;
    }
    module->path = memory;
    module->path_capacity = capacity;
  }
  sys::Copy(module->path, path, bytes);
  module->path[bytes] = 0;
  module->info.path = module->path;
}

void AddSegment(const LoadedObject& object, const ElfW(Phdr) & header, UnwindSections* sections) {
  // Only what can hold unwind sections; a writable .eh_frame is old practice, and still readable.
  if (!(header.p_flags & PF_R) || header.p_filesz == 0) return;
  if (sections->segment_count == sizeof(sections->segments) / sizeof(sections->segments[0])) return;
  uint64_t begin = object.bias + header.p_vaddr;
  sections->segments[sections->segment_count++] = {begin, begin + header.p_filesz};
}

void Fill(const LoadedObject& object, Module* module) {
  module->sections = UnwindSections{};
  module->info = ModuleInfo{};
  module->identity = object.identity;
  module->probe = object.probe;
  module->info.start = object.start;
  module->info.end = object.end;
  module->info.bias = object.bias;
  CopyPath(object.path, module);
  module->info.epoch = CurrentEpoch();
  UnwindSections& sections = module->sections;
  sections.header = object.eh_frame_header;
  // Read-only segments first: there may be more segments than are kept.
  for (int pass = 0; pass < 2; ++pass) {
    for (uint32_t i = 0; i < object.header_count; ++i) {
      const ElfW(Phdr)& header = object.headers[i];
      bool read_only = (header.p_flags & (PF_W | PF_X)) == 0;
      if (header.p_type == PT_LOAD && read_only == (pass == 0)) AddSegment(object, header, &sections);
    }
  }
  for (uint32_t i = 0; i < object.header_count; ++i) {
    const ElfW(Phdr)& header = object.headers[i];
    uint64_t at = object.bias + header.p_vaddr;
    if (header.p_type == PT_GNU_EH_FRAME) sections.header = at;
    if (header.p_type == PT_NOTE && module->info.build_id == nullptr && sections.SegmentOf(at).end != 0) {
      uint64_t end = sections.SegmentOf(at).end;
      ReadBuildId(at, at + header.p_filesz < end ? at + header.p_filesz : end, module);
    }
  }
  if (object.headers == nullptr) sections.segments[sections.segment_count++] = {object.start, object.end};
  sections.header_extent = sections.SegmentOf(sections.header);
  sections.entry = object.entry;
  if (sections.header != 0) return;
  Extent frames = FindFrameSection(object.path, object.bias), segment = sections.SegmentOf(frames.begin);
  if (frames.end > frames.begin && frames.end <= segment.end) sections.frames = frames;
}

void AnnounceGone(uint32_t handle) {
  uint32_t epoch = __atomic_fetch_add(&g_module_epoch, 1u, __ATOMIC_ACQ_REL) + 1;
  if (g_gone != nullptr) g_gone(handle, epoch);
}

void Retire(uint32_t handle, uint64_t claim) {
  uint64_t gone = (claim & ~kStateMask) | kGone;
  if (sys::CompareExchange(&g_claims[handle], claim, gone)) AnnounceGone(handle);
}

// Copies the sections of a ready module. False when the slot changed hands meanwhile.
bool CopySections(uint32_t handle, uint64_t claim, const LoadedObject& object, UnwindSections* sections, bool* same) {
  const Module& module = g_modules[handle];
  *same = module.identity == object.identity && module.info.end == object.end;
  *sections = module.sections;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return sys::LoadRelaxed(&g_claims[handle]) == claim;
}

// Waits while another thread fills the slot. False: it did not finish in time. It may be what this handler interrupted,
// or was lost in a fork: the slot is then given up, and the module enters (and is announced) once more in another.
bool AwaitReady(uint32_t handle, uint64_t* claim) {
  for (uint32_t i = 0; i < kBusySpins; ++i) {
    *claim = sys::LoadAcquire(&g_claims[handle]);  // partner: Enter
    if ((*claim & kStateMask) != kFilling) return (*claim & kStateMask) == kReady;
    sys::Pause();
  }
  sys::CompareExchange(&g_claims[handle], *claim, (*claim & ~kStateMask) | kAbandoned);
  return false;
}

ModuleLookup Enter(uint32_t handle, uint64_t old, const LoadedObject& object, UnwindSections* sections) {
  uint64_t claim = object.start | ((old + kTurn) & kTurnMask);
  if (!sys::CompareExchange(&g_claims[handle], old, claim | kFilling)) return ModuleLookup::kNone;  // lost the race
  Module* module = &g_modules[handle];
  Fill(object, module);
  *sections = module->sections;
  if (g_seen != nullptr) g_seen(module->info, handle);
  // Release: partners AwaitReady, Search. It fails when someone gave up waiting; the module then has another slot, and
  // nobody would ever retire this one.
  if (!sys::CompareExchange(&g_claims[handle], claim | kFilling, claim | kReady)) {
    AnnounceGone(handle);
    sys::StoreRelease(&g_claims[handle], claim | kGone);
  }
  return ModuleLookup::kFound;
}

ModuleLookup Search(const LoadedObject& object, UnwindSections* sections) {
  uint32_t reusable = kMaxModules;
  for (uint32_t handle = 0; handle < kMaxModules; ++handle) {
    uint64_t claim = sys::LoadAcquire(&g_claims[handle]);
    uint64_t state = claim & kStateMask;
    if (state == kUnused) {
      if (Enter(handle, claim, object, sections) == ModuleLookup::kFound) return ModuleLookup::kFound;
      claim = sys::LoadAcquire(&g_claims[handle]);
      state = claim & kStateMask;
    }
    if (state == kGone && reusable == kMaxModules) reusable = handle;
    if (state == kGone || state == kAbandoned || (claim & kStartMask) != object.start) continue;
    if (state == kFilling && !AwaitReady(handle, &claim)) continue;
    bool same = false;
    if (!CopySections(handle, claim, object, sections, &same)) continue;
    if (same) return ModuleLookup::kFound;
    Retire(handle, claim);  // unloaded behind our back, another object took its place
    DropRules();
  }
  // Every slot was used once: take one of an unloaded module. Two threads doing so at once for the same module may
  // announce it twice, under two handles; both are right.
  if (reusable == kMaxModules) return ModuleLookup::kNone;
  uint64_t claim = sys::LoadAcquire(&g_claims[reusable]);
  if ((claim & kStateMask) != kGone) return ModuleLookup::kBusy;
  return Enter(reusable, claim, object, sections) == ModuleLookup::kFound ? ModuleLookup::kFound : ModuleLookup::kBusy;
}

}  // namespace

LEAKHUNT_HOT_WORD uint32_t g_module_epoch = 0;

ModuleLookup FindModule(uint64_t pc, UnwindSections* sections) {
  LoadedObject object;
  if (g_modules == nullptr || !FindLoadedObject(pc, &object)) return ModuleLookup::kNone;
  object.start &= kStartMask;
  return Search(object, sections);
}

void InitializeModules() {
  InitializeLoadedObjects();
  if (g_modules == nullptr) g_modules = static_cast<Module*>(sys::MapPrivate(kMaxModules * sizeof(Module)));
}

void SetModuleCallbacks(ModuleSeen seen, ModuleGone gone) {
  g_seen = seen;
  g_gone = gone;
}

void ForEachModule(ModuleSeen visit) {
  for (uint32_t handle = 0; handle < kMaxModules; ++handle) {
    uint64_t claim = sys::LoadAcquire(&g_claims[handle]);
    if (claim == kUnused) return;
    if ((claim & kStateMask) == kReady) visit(g_modules[handle].info, handle);
  }
}

void AfterUnload() {
  bool any = false;
  for (uint32_t handle = 0; handle < kMaxModules; ++handle) {
    uint64_t claim = sys::LoadAcquire(&g_claims[handle]);
    if (claim == kUnused) break;
    if ((claim & kStateMask) != kReady || StillLoaded(g_modules[handle].probe, g_modules[handle].identity)) continue;
    Retire(handle, claim);
    any = true;
  }
  if (any) DropRules();
}

uint32_t Epoch() { return CurrentEpoch(); }

}  // namespace leakhunt::unwind
