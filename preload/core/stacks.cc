#include "preload/core/stacks.h"

#define XXH_INLINE_ALL
#define XXH_NO_STREAM
#include <xxhash.h>

#include "preload/core/process.h"
#include "preload/core/ref_table.h"
#include "preload/core/thread_state.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/unwind/path_cache.h"

namespace leakhunt::core {
namespace {

using protocol::AppendHeader;
using protocol::AreaKind;
using protocol::ModuleRecord;
using protocol::StackRecord;

// An append-only run of areas: records are complete before used_bytes covers them.
struct Appender {
  AreaKind kind;
  uint32_t pages;
  sys::SpinLock lock;
  transport::Area area;

  // Calls fill(record bytes) on `bytes` (multiple of 8) of fresh space; returns its file offset, 0 at the bound.
  template <typename Fill>
  uint64_t Append(uint32_t bytes, Fill fill) {
    if (!lock.Acquire(g_process.generation)) return 0;
    uint64_t offset = 0;
    auto* head = reinterpret_cast<AppendHeader*>(area.start);
    if (head == nullptr || head->used_bytes + bytes > area.bytes) {
      transport::Area fresh = g_process.pages->Allocate(kind, pages, 0);
      if (fresh.start != nullptr) {
        area = fresh;
        head = reinterpret_cast<AppendHeader*>(area.start);
        sys::StoreRelease(&head->used_bytes, uint64_t{sizeof(AppendHeader)});
      } else {
        head = nullptr;
      }
    }
    if (head != nullptr && head->used_bytes + bytes <= area.bytes) {
      offset = area.file_offset + head->used_bytes;
      fill(area.start + head->used_bytes);
      sys::StoreRelease(&head->used_bytes, head->used_bytes + bytes);  // partner: the collector's stack reader
    }
    lock.Release();
    return offset;
  }
};

constinit Appender g_stack_area = {AreaKind::kStacks, 16, {}, {}};
constinit Appender g_module_area = {AreaKind::kModules, 2, {}, {}};
constinit RefTable g_stacks;
constinit uint32_t g_unknown_stack = 0;  // a record of no frames: what could not be walked still has a row

// Where a loaded object's record stands in this process's pages.
struct PublishedModule {
  uint32_t handle;
  uint64_t record_offset;
  PublishedModule* next;
};
constinit PublishedModule* g_modules = nullptr;

constexpr uint32_t kMaxPath = 1024;

unwind::StackLimits* OtherLimitsOf(ThreadState* state, uint64_t sp) {
  for (auto& limits : state->limits) {
    if (sp >= limits.low && sp < limits.high) return &limits;
  }
  unwind::StackLimits found;
  if (!unwind::FindStackLimits(sp, &found)) return nullptr;
  unwind::StackLimits* place = &state->limits[state->next_limits++ % kStackLimitsCached];
  *place = found;
  return place;
}

// Nearly always the thread's first.
inline unwind::StackLimits* LimitsOf(ThreadState* state, uint64_t sp) {
  unwind::StackLimits& first = state->limits[0];
  return __builtin_expect(sp >= first.low && sp < first.high, 1) ? &first : OtherLimitsOf(state, sp);
}

constexpr uint32_t kShorterDepths[] = {8, 4, 1};

}  // namespace

bool InitializeStacks() {
  g_stack_area.area = {};
  g_module_area.area = {};
  g_stack_area.lock = {};
  g_module_area.lock = {};
  g_stacks = RefTable();
  if (!g_stacks.Create(g_process.generation, 2048)) return false;
  g_unknown_stack = InternStack(nullptr, nullptr, 0, 0);
  g_modules = nullptr;
  unwind::ForEachModule(PublishModule);  // in a forked child: those its parent had seen
  return true;
}

void PublishModule(const unwind::ModuleInfo& info, uint32_t module_handle) {
  uint32_t path_bytes = 0;
  while (info.path != nullptr && info.path[path_bytes] != 0 && path_bytes < kMaxPath) ++path_bytes;
  uint32_t id_bytes = info.build_id == nullptr ? 0 : info.build_id_bytes;
  uint32_t bytes = (static_cast<uint32_t>(sizeof(ModuleRecord)) + id_bytes + path_bytes + 7) & ~7u;
  uint64_t offset = g_module_area.Append(bytes, [&](uint8_t* at) {
    auto* record = reinterpret_cast<ModuleRecord*>(at);
    record->start = info.start;
    record->end = info.end;
    record->bias = info.bias;
    record->first_epoch = info.epoch;
    record->last_epoch = protocol::kEpochStillLoaded;
    record->record_bytes = static_cast<uint16_t>(bytes);
    record->build_id_bytes = static_cast<uint16_t>(id_bytes);
    record->path_bytes = static_cast<uint16_t>(path_bytes);
    if (id_bytes != 0) sys::Copy(at + sizeof(ModuleRecord), info.build_id, id_bytes);
    if (path_bytes != 0) sys::Copy(at + sizeof(ModuleRecord) + id_bytes, info.path, path_bytes);
  });
  auto* module = static_cast<PublishedModule*>(sys::Carve(sizeof(PublishedModule)));
  if (module == nullptr || offset == 0) return;
  module->handle = module_handle;
  module->record_offset = offset;
  PublishedModule* head;
  do head = module->next = sys::LoadRelaxed(&g_modules);
  while (!sys::CompareExchange(&g_modules, head, module));
}

void RetireModule(uint32_t module_handle, uint32_t new_epoch) {
  for (PublishedModule* module = sys::LoadAcquire(&g_modules); module != nullptr; module = module->next) {
    if (module->handle != module_handle) continue;
    if (uint8_t* at = g_process.pages->At(module->record_offset); at != nullptr) {
      uint32_t* last = &reinterpret_cast<ModuleRecord*>(at)->last_epoch;
      if (sys::LoadRelaxed(last) != protocol::kEpochStillLoaded) continue;  // of an earlier object under this handle
      sys::StoreRelaxed(last, new_epoch - 1);
    }
  }
  sys::StoreRelaxed(&Header()->module_epoch, new_epoch);
}

namespace {

// Stacks are stored as chains of deltas, cut at multiples of kDelta frames counted from the outermost one, so that stacks
// with a common tail have the records of that tail in common whatever their depth: a compiler's 55,000 stacks of 48
// frames take a third of what they would as they are.
constexpr uint32_t kDelta = 16;
static_assert(protocol::kMaxFrames / kDelta == kMostDeltas);

// The record of `count` frames inside `parent`'s; 0 at the arena's bound.
uint32_t InternDelta(const uint64_t* pcs, uint32_t count, uint32_t parent, uint16_t flags, uint32_t epoch) {
  const uint64_t hash = XXH3_64bits_withSeed(pcs, count * sizeof(uint64_t), uint64_t{parent} << 32 | (epoch ^ uint32_t{flags} << 24));
  uint32_t found = g_stacks.Find(hash, [&](uint32_t reference) {
    uint8_t* at = g_process.pages->At(protocol::StackOffset(reference));
    return at != nullptr && reinterpret_cast<StackRecord*>(at)->hash == hash;
  });
  if (found != 0) return found;
  uint32_t bytes = static_cast<uint32_t>(sizeof(StackRecord)) + count * 8;
  uint64_t offset = g_stack_area.Append(bytes, [&](uint8_t* at) {
    auto* record = reinterpret_cast<StackRecord*>(at);
    record->hash = hash;
    record->parent = parent;
    record->frames = static_cast<uint16_t>(count);
    record->flags = flags;
    record->epoch = epoch;
    record->first_tick = NowTick();
    if (count != 0) sys::Copy(at + sizeof(StackRecord), pcs, count * 8);
  });
  if (offset == 0) return 0;
  g_stacks.Insert(hash, protocol::StackReference(offset));
  return protocol::StackReference(offset);
}

// How many whole deltas, from the outermost, are those of the thread's last stack.
uint32_t SameDeltas(const LastStack& last, const uint64_t* pcs, uint32_t count, uint32_t epoch) {
  if (last.epoch != epoch) return 0;
  const uint32_t whole = (count < last.frames ? count : last.frames) / kDelta;
  for (uint32_t d = 0; d < whole; ++d) {
    const uint64_t* here = pcs + count - (d + 1) * kDelta;
    const uint64_t* there = last.pcs + last.frames - (d + 1) * kDelta;
    uint64_t differ = 0;
    for (uint32_t i = 0; i < kDelta; ++i) differ |= here[i] ^ there[i];
    if (differ != 0) return d;
  }
  return whole;
}

}  // namespace

uint32_t InternStack(LastStack* last, const uint64_t* pcs, uint32_t count, uint16_t flags) {
  const uint32_t epoch = unwind::Epoch();
  const uint32_t whole = count / kDelta;
  uint32_t same = last == nullptr ? 0 : SameDeltas(*last, pcs, count, epoch);
  uint32_t parent = same == 0 ? 0 : last->deltas[same - 1];
  if (last != nullptr) last->frames = 0;
  for (uint32_t d = same; d < whole; ++d) {
    // What is said of a stack (that it was cut) is said in its innermost record.
    const bool innermost = d + 1 == whole && count % kDelta == 0;
    parent = InternDelta(pcs + count - (d + 1) * kDelta, kDelta, parent, innermost ? flags : 0, epoch);
    if (parent == 0) break;
    if (last != nullptr) last->deltas[d] = parent;
  }
  uint32_t stack = parent;
  if (count % kDelta != 0 || count == 0) {
    stack = whole != 0 && parent == 0 ? 0 : InternDelta(pcs, count % kDelta, parent, flags, epoch);
  }
  if (stack != 0) {
    if (last != nullptr) {
      sys::Copy(last->pcs, pcs, count * sizeof(uint64_t));
      last->frames = count;
      last->epoch = epoch;
    }
    return stack;
  }
  // The arena is at its bound: shorter stacks are fewer and may be known already.
  for (uint32_t depth : kShorterDepths) {
    if (depth >= count) continue;
    sys::AddRelaxed(&Header()->truncated_stacks, uint64_t{1});
    return InternStack(nullptr, pcs, depth, flags | protocol::kStackShortened);
  }
  return 0;
}

uint64_t InnermostPc(const ThreadState* state) { return state->innermost_pc; }

uint32_t UnknownStack() { return g_unknown_stack; }

namespace {

// Walks often repeat where every allocation is recorded, and in a thread that is recorded again and again; for one of a few
// records a cache is 10 KiB for nothing.
constexpr uint64_t kPathsBelowInterval = 256;
constexpr uint64_t kVisitsBeforePaths = 64;

inline unwind::PathCache* PathsOf(ThreadState* state) {
  if (state->paths == nullptr && (state->sampler.Interval() < kPathsBelowInterval || state->visits > kVisitsBeforePaths)) {
    state->paths = static_cast<unwind::PathCache*>(sys::Carve(sizeof(unwind::PathCache)));
  }
  return state->paths;
}

inline uint16_t FlagsOf(unwind::WalkResult walk) {
  if (__builtin_expect(walk.stop == unwind::StopReason::kBottom, 1)) return 0;
  sys::AddRelaxed(&Header()->truncated_stacks, uint64_t{1});
  return protocol::kStackTruncated;
}

// Where system calls are forbidden, a walk has no stack but the program's.
constexpr uint64_t kRoomToWalk = 16 * 1024;

uint32_t NoteUnknown() {
  sys::AddRelaxed(&Header()->unknown_stacks, uint64_t{1});
  return UnknownStack();
}

}  // namespace

uint32_t CaptureStack(ThreadState* state, const unwind::Registers* from) {
  state->innermost_pc = 0;
  uint64_t sp = from != nullptr ? from->sp : reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  unwind::StackLimits* limits = LimitsOf(state, sp);
  if (limits == nullptr || (from == nullptr && !unwind::CaptureOutside(*limits, &state->caller))) {
    return NoteUnknown();
  }
  if (from == nullptr) from = &state->caller;
  if (__builtin_expect(sys::Gated(), 0) && from->sp - limits->low < kRoomToWalk) return NoteUnknown();
  state->innermost_pc = from->pc & ~protocol::kFrameExactPc;
  unwind::PathCache* paths = PathsOf(state);
  uint32_t* known = nullptr;
  unwind::WalkResult walk = paths == nullptr
                                ? unwind::Walk(*from, *limits, state->pcs, protocol::kMaxFrames)
                                : unwind::WalkKnown(*from, *limits, paths, state->pcs, protocol::kMaxFrames, &known);
  const uint16_t flags = FlagsOf(walk);
  if (known == nullptr) return InternStack(&state->last_stack, state->pcs, walk.frames, flags);
  if (*known == 0) *known = InternStack(&state->last_stack, state->pcs, walk.frames, flags);
  return *known;
}

void KeepWalk(ThreadState* state, const unwind::Registers& from, unwind::WalkMemo* memo) {
  if (const unwind::StackLimits* limits = LimitsOf(state, from.sp); limits != nullptr) memo->Keep(from, *limits, unwind::Epoch());
}

uint32_t ReadStack(const void* pages_of, uint32_t stack, uint64_t* pcs, uint32_t capacity) {
  const auto* pages = static_cast<const transport::Pages*>(pages_of);
  uint32_t count = 0;
  while (stack != 0 && count < capacity) {
    uint8_t* at = pages->At(protocol::StackOffset(stack));
    if (at == nullptr) break;
    const auto* record = reinterpret_cast<const StackRecord*>(at);
    uint32_t frames = record->frames < capacity - count ? record->frames : capacity - count;
    sys::Copy(pcs + count, at + sizeof(StackRecord), frames * 8);
    count += frames;
    if (record->parent >= stack) break;
    stack = record->parent;
  }
  return count;
}

}  // namespace leakhunt::core
