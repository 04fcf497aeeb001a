// The shared pages: what the guest keeps in its memfd and what the collector reads there.
//
// This file owns the binary layout, nothing else: plain structs, explicit widths, size asserts, and the few pure
// functions that pack and unpack a word. PROTOCOL.md tells the same story in prose. It is included by the guest
// (which writes) and by the collector (which copies a page, checks it, and only then believes it). It includes
// nothing of ours and needs no library.
//
// Picture. The file grows in extents of 1 MiB and never shrinks (F_SEAL_SHRINK). Page 0 of every extent is an
// ExtentHeader: one PageDescriptor for each of the extent's 256 pages. An *area* is a run of pages inside one
// extent with one purpose (AreaKind); its first page's descriptor says kind, length and owner. Extent 0, pages 1-2
// hold the ProcessHeader. A reader walks descriptors, never pointers:
//
//   extent 0:  [ExtentHeader][ProcessHeader ][records t0][stacks ....][modules][handles]...
//   extent 1:  [ExtentHeader][records t1 ............][thread tally][free ....]
//
// Every multi-word change is guarded by a state word or by publication order; which one is said at the struct.
// All times are CLOCK_MONOTONIC unless the name says realtime. "tick" is kTickNs since ProcessHeader.started.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leakhunt::protocol {

inline constexpr uint32_t kLayoutMagic = 0x4750484C;  // "LHPG"
inline constexpr uint32_t kExtentMagic = 0x5845484C;  // "LHEX"
inline constexpr uint32_t kLayoutVersion = 3;
inline constexpr uint32_t kOldestLayoutVersion = 2;  // that a reader understands: it has no detached threads
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kExtentBytes = 1u << 20;
inline constexpr uint32_t kPagesPerExtent = 256;
inline constexpr uint32_t kMaxExtents = 32 * 1024;  // 32 GiB: a file offset / 8 fits a 32-bit reference
inline constexpr uint64_t kTickNs = 10'000'000;     // 10 ms; 32 bits of ticks last 497 days

enum class AreaKind : uint8_t {
  kFree = 0,             // never used, or given back; contents undefined
  kProcess = 1,          // ProcessHeader
  kRecords = 2,          // RecordSlot[]; owner = index of the thread that took the run first
  kHandles = 3,          // HandleSlot[]
  kThreadTally = 4,      // StackTally[]; owner = thread index, the only writer
  kSharedTally = 5,      // StackTally[]; any thread, relaxed atomic adds
  kStacks = 6,           // AppendHeader, then StackRecord…
  kModules = 7,          // AppendHeader, then ModuleRecord…
  kThreads = 8,          // ThreadRecord[]
  kInheritedHandles = 9, // HandleSlot[]: open when the process image started
  kHandlesAtExit = 10,   // HandleSlot[]: open when the process image ended, by /proc
  kInheritedBlocks = 11, // InheritedTally[]: what a forked child inherited, per stack
  kHandleTally = 12,     // HandleTally[]; any thread, relaxed atomic adds
  kScopes = 13,          // ScopeRecord[]
};

// One page of an extent. The first page of an area carries kind, length and owner; the pages after it carry
// kind kFree and pages 0 and must be skipped by stepping over `pages`. Writer: the guest under its page lock. A
// reader sees either kFree or a complete word, because word0 is one release-store made last.
struct PageDescriptor {
  uint32_t word0;    // bits 0-7 AreaKind, bits 8-23 length in pages
  uint32_t owner;    // thread index (kRecords, kThreadTally); else 0
  uint64_t reserved;
};
static_assert(sizeof(PageDescriptor) == 16);

constexpr uint32_t PackDescriptor(AreaKind kind, uint32_t pages) { return static_cast<uint32_t>(kind) | (pages << 8); }
constexpr AreaKind DescriptorKind(uint32_t word0) { return static_cast<AreaKind>(word0 & 0xFF); }
constexpr uint32_t DescriptorPages(uint32_t word0) { return (word0 >> 8) & 0xFFFF; }

// Page 0 of each extent. `pages[0]` stands where the header itself is, so its 16 bytes are the magic.
struct ExtentHeader {
  uint32_t magic;  // kExtentMagic, release-stored after the rest
  uint32_t index;  // number of this extent
  uint64_t reserved;
  PageDescriptor pages[kPagesPerExtent - 1];  // pages[i] describes page i + 1
};
static_assert(sizeof(ExtentHeader) == kPageBytes);

// ---------------------------------------------------------------------------------------------------------------
// Process

enum ProcessFlags : uint32_t {
  kFlagForkedChild = 1u << 0,      // this image began as a fork, without exec
  kFlagInjected = 1u << 1,         // attached later: older blocks and handles are untracked
  kFlagOwnMalloc = 1u << 2,        // the executable defines malloc itself: heap hooks see little or nothing
  kFlagSwitchedOff = 1u << 3,      // the guest met an impossible state and stopped recording for good
  kFlagSeccomp = 1u << 4,          // a seccomp filter was installed: no growth, no flush since then
  kFlagNoModules = 1u << 5,        // module list could not be read
  kFlagDetached = 1u << 6,         // an injected library that has been taken off: nothing is recorded until it is back
};

enum class ImageEnd : uint32_t { kRunning = 0, kExit = 1, kExec = 2 };

enum TrackMask : uint32_t { kTrackHeap = 1, kTrackMmap = 2, kTrackHandles = 4, kTrackThreads = 8, kTrackAll = 15 };

// One point of the activity clock: how much allocation weight the process had done by then. Log-spaced back to
// start: when the ring is full every second point of the older half is dropped.
struct ActivityPoint {
  uint64_t time_ns;
  uint64_t allocated_bytes;  // weight, monotone
};

inline constexpr uint32_t kActivityPoints = 128;
inline constexpr uint32_t kSamplingPoints = 64;

// One change of the sampling interval.
struct SamplingPoint {
  uint64_t time_ns;
  uint64_t mean_bytes;  // 1 = every allocation
};

// Extent 0, pages 1 and 2. Written by the guest only. Fields after `version` are valid once `magic` is set.
struct ProcessHeader {
  uint32_t magic;    // kLayoutMagic, release-stored last
  uint32_t version;  // kLayoutVersion; a reader takes kOldestLayoutVersion and later ones up to its own
  uint32_t pid;      // in the guest's pid namespace; the collector trusts SO_PEERCRED / pidfd instead
  uint32_t parent_pid;
  uint64_t start_ticks;          // field 22 of /proc/PID/stat, clock ticks since boot; 0 unknown
  uint64_t started_ns;           // CLOCK_MONOTONIC when this image's recording began; tick 0
  int64_t started_realtime_ns;   // CLOCK_REALTIME at the same moment
  uint32_t image;                // 0, and one more for each exec of the same pid
  uint32_t flags;                // ProcessFlags
  uint32_t track;                // TrackMask
  uint32_t budget_ppm;           // 10,000 = 1 %; 0 when the interval is fixed
  // Sampling. Interval codes: see EncodeInterval.
  uint32_t interval_bytes;       // T now
  uint32_t floor_interval_bytes; // T_floor of the memory bound; 0 = bound not reached
  uint32_t fixed_interval_bytes; // --sample-bytes; 0 = by budget
  uint32_t thread_count;         // indices handed out so far
  uint32_t module_epoch;         // raised when an object was unloaded
  uint32_t extents;              // high-water mark: extents that are complete; release-stored
  // Losses: what should have been recorded and was not. Relaxed atomic adds.
  uint64_t lost_records;
  uint64_t lost_bytes;
  uint64_t truncated_stacks;     // walks stopped before the bottom, or shortened at the stack arena's bound
  uint64_t unknown_stacks;       // records without a stack (inside a signal handler that interrupted leakhunt)
  uint64_t stale_records;        // retired because a new block or mapping had their memory: their frees passed by the hooks
  uint64_t fallback_walks;       // walks that were made again with all registers, for a rule that names another than sp and rbp
  // Own cost.
  uint64_t slow_visits;          // visits to the slow path
  uint64_t own_cpu_ns;           // estimate: counters x measured unit cost (core/governor.h)
  uint64_t private_bytes;        // guest memory outside these pages
  // End of the image.
  uint32_t image_end;            // ImageEnd
  int32_t exit_status;           // argument of exit/_exit, valid with kExit
  uint64_t allocated_bytes;      // activity clock now (sum of thread shares folded in at slow visits)
  uint32_t activity_points;      // used entries of `activity`
  uint32_t sampling_points;      // used entries of `sampling`
  uint32_t forked_from_pid;      // with kFlagForkedChild
  uint32_t forked_from_image;
  uint64_t forked_from_start_ticks;
  uint64_t brk_start;            // program break at start and as last seen at a slow visit
  uint64_t brk_now;
  uint64_t directory_device;     // of `directory`, as stat gives them; 0: unknown
  uint64_t directory_inode;
  uint64_t scratch;              // the guest's own (Pages::ReadWord); means nothing to a reader
  uint64_t reserved[5];
  char name[16];                 // comm
  char executable[256];          // absolute path, truncated
  char output[256];              // LEAKHUNT_OUTPUT as the program had it; empty = the collector's own
  uint32_t snapshot_interval_ms; // LEAKHUNT_INTERVAL; 0 = the collector's own
  uint32_t command_bytes;        // used bytes of `command`
  char command[2048];            // arguments, each ended by NUL, truncated
  ActivityPoint activity[kActivityPoints];
  SamplingPoint sampling[kSamplingPoints];
  char directory[1024];          // the working directory when the program started, absolute; empty: unknown
};
static_assert(sizeof(ProcessHeader) <= 2 * kPageBytes);

// ---------------------------------------------------------------------------------------------------------------
// Records: one slot a live recorded block (heap, mapping, thread)

enum class SlotState : uint8_t {
  kVoid = 0,      // never used
  kFilling = 1,   // owner is writing; void if the owner thread has ended
  kLive = 2,
  kResizing = 3,  // a realloc or mremap is in progress; contents are valid and counted (old or new size)
  kDead = 4,
  kThinned = 5,   // dropped at the memory bound; not a death
};

enum class BlockKind : uint8_t { kHeap = 0, kMmap = 1, kThread = 2, kShm = 3 };

// 32 bytes, one writer at a time (the claimant of the guest's private entry). Publication: the words are stored
// relaxed, then `state` is release-stored as kLive. A reader reads `state`, then copies the slot, then reads `state`
// again, each by a read of its own; the same word in all three means the copy is whole. Identity of a block = (file
// offset of slot, generation).
struct RecordSlot {
  uint64_t state;            // bits 0-7 SlotState; bits 8-63 generation, new at each birth and resize; bits 8-23 of it
                             // also name the thread that allocated (ThreadOf), because runs outlive their threads
  uint64_t size_interval;    // bits 0-47 bytes asked for (saturating), of a detached thread see PackDetached; bits 48-63 interval code T was drawn with
  uint64_t stack_birth;      // bits 0-31 stack reference; bits 32-63 birth in ticks
  uint64_t address_kind;     // bits 0-47 address; bits 48-51 BlockKind; bits 52-63 scope index (0 none)
};
static_assert(sizeof(RecordSlot) == 32);

constexpr SlotState StateOf(uint64_t state) { return static_cast<SlotState>(state & 0xFF); }
constexpr uint64_t GenerationOf(uint64_t state) { return state >> 8; }
constexpr uint32_t ThreadOf(uint64_t state) { return (state >> 8) & 0xFFFF; }  // thread index modulo 65,536; 0 unknown
constexpr uint64_t PackState(uint64_t generation, SlotState s) { return (generation << 8) | static_cast<uint64_t>(s); }

inline constexpr uint64_t kMaxRecordedSize = (uint64_t{1} << 48) - 1;

// Sampling intervals are kept to numbers a 16-bit code expresses exactly (11-bit mantissa, 5-bit shift), so that the
// T in a record is the T that was drawn with, not a rounding of it.
constexpr uint16_t EncodeInterval(uint64_t interval_bytes) {
  uint32_t shift = 0;
  while ((interval_bytes >> shift) > 0x7FF) ++shift;
  return static_cast<uint16_t>((shift << 11) | (interval_bytes >> shift));
}
constexpr uint64_t DecodeInterval(uint16_t code) { return static_cast<uint64_t>(code & 0x7FF) << (code >> 11); }

constexpr uint64_t PackSize(uint64_t size_bytes, uint16_t interval_code) {
  return (size_bytes > kMaxRecordedSize ? kMaxRecordedSize : size_bytes) | (static_cast<uint64_t>(interval_code) << 48);
}
constexpr uint64_t SizeOf(uint64_t size_interval) { return size_interval & kMaxRecordedSize; }
constexpr uint16_t IntervalCodeOf(uint64_t size_interval) { return static_cast<uint16_t>(size_interval >> 48); }

// A detached thread ends without a call, so its slot stays live, and it counts while the kernel lists its tid. Its size says
// both: bits 0-24 the pages of its stack (saturating), bits 25-46 its tid in the guest's pid namespace, which has at most 22 bits
// (pid_max, proc(5)), bit 47 set. A joinable thread's size is in bytes, as that of any block, and never has bit 47.
inline constexpr uint32_t kThreadPageBits = 25;
inline constexpr uint32_t kDetachedBit = 47;
constexpr uint64_t PackDetached(uint64_t stack_bytes, uint32_t tid) {
  const uint64_t pages = (stack_bytes + kPageBytes - 1) / kPageBytes;
  const uint64_t most = (uint64_t{1} << kThreadPageBits) - 1;
  const uint64_t packed = (pages < most ? pages : most) | (static_cast<uint64_t>(tid) << kThreadPageBits);
  return PackSize(packed | (uint64_t{1} << kDetachedBit), EncodeInterval(1));
}
constexpr bool IsDetached(uint64_t size_interval) { return ((size_interval >> kDetachedBit) & 1) != 0; }
constexpr uint32_t DetachedTidOf(uint64_t size_interval) {
  return static_cast<uint32_t>((size_interval >> kThreadPageBits) & ((uint64_t{1} << (kDetachedBit - kThreadPageBits)) - 1));
}
constexpr uint64_t StackBytesOf(uint64_t size_interval) {
  if (!IsDetached(size_interval)) return SizeOf(size_interval);
  return (size_interval & ((uint64_t{1} << kThreadPageBits) - 1)) * kPageBytes;
}

constexpr uint64_t PackStack(uint32_t stack, uint32_t birth_tick) { return stack | (static_cast<uint64_t>(birth_tick) << 32); }
constexpr uint32_t StackOf(uint64_t stack_birth) { return static_cast<uint32_t>(stack_birth); }
constexpr uint32_t BirthTickOf(uint64_t stack_birth) { return static_cast<uint32_t>(stack_birth >> 32); }
constexpr uint64_t PackAddress(uint64_t address, BlockKind kind, uint32_t scope) {
  return (address & 0xFFFF'FFFF'FFFF) | (static_cast<uint64_t>(kind) << 48) | (static_cast<uint64_t>(scope & 0xFFF) << 52);
}
constexpr uint64_t AddressOf(uint64_t address_kind) { return address_kind & 0xFFFF'FFFF'FFFF; }
constexpr BlockKind KindOf(uint64_t address_kind) { return static_cast<BlockKind>((address_kind >> 48) & 0xF); }
constexpr uint32_t ScopeOf(uint64_t address_kind) { return static_cast<uint32_t>(address_kind >> 52); }

// ---------------------------------------------------------------------------------------------------------------
// Tallies: monotone totals of a stack. Readers sum all entries with the same stack over all threads.

inline constexpr uint32_t kLifetimeBuckets = 16;  // bucket b: lifetime in ticks has b significant bits (0: < 1 tick); last = rest

// Weights are Horvitz–Thompson: a sampled block of size s stands for s/p bytes and 1/p blocks, p = 1 - exp(-s/T).
// In exact mode p = 1 and every figure is a plain count. Counts are 1/256ths so that 1/p fits an integer.
struct StackTally {
  uint32_t stack;               // stack reference; release-stored last when an entry is taken; 0 = unused
  uint32_t kind_birth;          // bits 0-7 BlockKind; bits 8-31 those of the latest birth in ticks (of what took the entry first, until then)
  uint64_t samples;             // records born (raw)
  uint64_t born_bytes;          // sum of weights, bytes
  uint64_t born_count_256;      // sum of weights, blocks x 256
  uint64_t born_bytes_var;      // sum of (1-p)·s²/p², bytes² (double, as bits)
  uint64_t born_count_var;      // sum of (1-p)/p² (double, as bits)
  uint64_t died_samples;        // records that died (raw)
  uint64_t died_bytes;          // sum of their weights, bytes
  uint32_t lifetimes[kLifetimeBuckets];  // died records by lifetime
};
static_assert(sizeof(StackTally) == 128);

// The latest birth is kept to 2.56 s, so that it shares a word with the kind.
inline constexpr uint32_t kTallyBirthTicks = 256;
constexpr uint32_t PackKindBirth(BlockKind kind, uint32_t birth_tick) {
  return static_cast<uint32_t>(kind) | (birth_tick & ~(kTallyBirthTicks - 1));
}
constexpr BlockKind KindOfTally(uint32_t kind_birth) { return static_cast<BlockKind>(kind_birth & 0xFF); }
constexpr uint32_t BirthTickOfTally(uint32_t kind_birth) { return kind_birth & ~(kTallyBirthTicks - 1); }  // no later than the birth

// What a forked child inherited from one stack, decremented when it frees.
struct InheritedTally {
  uint32_t stack;  // in the child's own stack arena; 0 = unused
  uint32_t kind;   // BlockKind
  uint64_t samples;
  uint64_t live_bytes;       // weights; atomic subtract on free
  uint64_t live_count_256;
  uint64_t live_bytes_var;   // double bits, as inherited (not lowered on free: an upper bound)
  uint64_t oldest_realtime_ms;
  uint64_t died_samples;
  uint64_t reserved;
};
static_assert(sizeof(InheritedTally) == 64);

// ---------------------------------------------------------------------------------------------------------------
// Stacks and modules: append-only

// Head of an append-only area. `used_bytes` is release-stored after the record it covers is complete.
struct AppendHeader {
  uint64_t used_bytes;  // of the area, this header included
  uint64_t reserved;
};
static_assert(sizeof(AppendHeader) == 16);

// A stack reference is the file offset of its StackRecord divided by 8; 0 means "unknown stack".
constexpr uint32_t StackReference(uint64_t file_offset) { return static_cast<uint32_t>(file_offset / 8); }
constexpr uint64_t StackOffset(uint32_t reference) { return static_cast<uint64_t>(reference) * 8; }

enum StackFlags : uint16_t {
  kStackTruncated = 1,  // more frames existed
  kStackShortened = 2,  // cut because the arena was at its bound
};

inline constexpr uint32_t kMaxFrames = 128;            // guest's depth limit
inline constexpr uint64_t kFrameExactPc = uint64_t{1} << 63;  // frame word: pc itself (interrupted by a signal), not a return address

// Followed by `frames` 64-bit words, innermost first: return addresses, or exact pcs where kFrameExactPc is set. Then
// the parent's frames follow (parent 0: none). A parent always lies at a lower file offset, so chains end.
struct StackRecord {
  uint64_t hash;    // XXH3-64 of the words that follow, seeded with parent and epoch; equal content may appear twice
  uint32_t parent;  // stack reference of the rest, or 0
  uint16_t frames;  // words that follow
  uint16_t flags;   // StackFlags
  uint32_t epoch;   // ProcessHeader.module_epoch when interned
  uint32_t first_tick;  // when it was interned: no later than the first birth or opening there
};
static_assert(sizeof(StackRecord) == 24);

inline constexpr uint32_t kEpochStillLoaded = 0xFFFF'FFFF;

// One loaded object. Followed by build_id_bytes of build-id, then path_bytes of path, padded to 8. A frame of a stack
// of epoch e lies in the module with start <= pc < end and first_epoch <= e <= last_epoch.
struct ModuleRecord {
  uint64_t start;        // lowest mapped address of the object
  uint64_t end;          // one past the highest
  uint64_t bias;         // load bias: ELF virtual address = pc - bias
  uint32_t first_epoch;
  uint32_t last_epoch;   // kEpochStillLoaded, or relaxed-stored when it was unloaded
  uint16_t record_bytes; // with trailer, multiple of 8
  uint16_t build_id_bytes;
  uint16_t path_bytes;
  uint16_t reserved;
};
static_assert(sizeof(ModuleRecord) == 40);

// ---------------------------------------------------------------------------------------------------------------
// Threads and scopes

struct ThreadRecord {
  uint32_t tid;         // in the guest's namespace; release-stored last
  uint32_t index;       // thread index: owner of runs and tallies; index 0 = "unknown or several"
  uint32_t start_tick;
  uint32_t end_tick;    // 0 = alive as far as known
  char name[16];        // comm at the last slow visit
  uint64_t allocated_bytes;  // weight, monotone, written by the owner
  uint64_t own_cpu_ns;
  uint64_t reserved[2];
};
static_assert(sizeof(ThreadRecord) == 64);

struct ScopeRecord {
  uint32_t index;  // 1..4095; release-stored last
  uint32_t reserved;
  char name[56];   // NUL-terminated, truncated
};
static_assert(sizeof(ScopeRecord) == 64);

// ---------------------------------------------------------------------------------------------------------------
// Handles: never sampled

enum class HandleType : uint8_t {
  kOther = 0, kFile = 1, kDirectory = 2, kTcp = 3, kUdp = 4, kUnix = 5, kNetlink = 6, kSocket = 7, kPipe = 8,
  kEpoll = 9, kEventfd = 10, kTimerfd = 11, kSignalfd = 12, kInotify = 13, kFanotify = 14, kMemfd = 15, kPidfd = 16,
  kUserfaultfd = 17, kIoUring = 18, kPerf = 19, kPty = 20, kDevice = 21,
};
inline constexpr uint32_t kHandleTypes = 22;

inline constexpr uint32_t kLabelBytes = 88;

// 128 bytes. Publication as RecordSlot: fields, then release-store of `state`.
struct HandleSlot {
  uint64_t state;        // bits 0-7 SlotState (kLive, kDead, …); bits 8-63 generation
  uint64_t stack_birth;  // as RecordSlot; the birth may be that of one opened before by the same thread, see PROTOCOL.md
  int32_t fd;
  uint8_t type;          // HandleType as the call implies; the collector refines it
  uint8_t flags;         // HandleFlags
  uint16_t label_bytes;  // used bytes of `label`
  uint32_t thread;       // thread index of the opener
  uint32_t tally;        // reference of the stack's HandleTally: file offset / 32; 0 in lists
  uint64_t inode;        // st_ino at open for lists made from /proc; 0 in live handles; undefined in dead ones
  char label[kLabelBytes];  // path or address argument, bounded, not NUL-terminated
};
static_assert(sizeof(HandleSlot) == 128);

enum HandleFlags : uint8_t { kHandleListening = 1, kHandleStream = 2, kHandleDirectoryStream = 4, kHandleAccepted = 8, kHandleDuplicate = 16, kHandleReceived = 32, kHandleOwn = 64 /* leakhunt's own descriptor */ };

struct HandleTally {
  uint32_t stack;   // 0 = unknown stack's entry when `used` is 1
  uint32_t used;    // release-stored last: bits 0-7 1; bits 8-15 HandleType of the first one + 1, 0 not said
  uint64_t opened;  // monotone
  uint64_t closed;  // monotone; opened - closed = open
  uint64_t peak;    // highest open, best effort under races
};
static_assert(sizeof(HandleTally) == 32);

}  // namespace leakhunt::protocol
