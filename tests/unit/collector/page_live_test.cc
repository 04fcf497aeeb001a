// Reading a process that goes on: slots are never seen half written, and the bounds hold what moved.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "collector/ledger/ledger.h"
#include "collector/ledger/name_tables.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/site_rows.h"
#include "collector/ledger/slot_copier.h"
#include "collector/ledger/tally_sums.h"
#include "collector/ledger/weight.h"
#include "page_builder.h"
#include "whole_capture.h"
#include "preload/protocol/thinning.h"

// Which bytes of a read come first.
enum class ReadOrder { kRestThenFirst, kFirstThenRest };

// An order that the kernel's copy may have, but hardly ever shows: while one of these lives, reads of more than `first`
// bytes take those behind them, then call `act`, then take the first; or the other way round.
class Between {
 public:
  Between(size_t first, std::function<void()> act, ReadOrder order = ReadOrder::kRestThenFirst)
      : first_(first), act_(std::move(act)), order_(order) {
    now_ = this;
  }
  ~Between() { now_ = nullptr; }
  Between(const Between&) = delete;
  Between& operator=(const Between&) = delete;

  static const Between* Now() { return now_; }
  size_t first() const { return first_; }
  ReadOrder order() const { return order_; }
  void Act() const { act_(); }

 private:
  static inline const Between* now_ = nullptr;
  size_t first_;
  std::function<void()> act_;
  ReadOrder order_;
};

static uint64_t g_reads = 0;  // of the whole program so far

// In place of libc's, for the whole program.
extern "C" ssize_t pread(int fd, void* into, size_t bytes, off_t offset) {
  const auto read = [&](size_t from, size_t count) {
    return static_cast<ssize_t>(
        ::syscall(SYS_pread64, fd, static_cast<char*>(into) + from, count, offset + static_cast<off_t>(from)));
  };
  ++g_reads;
  const Between* between = Between::Now();
  if (between == nullptr || bytes <= between->first()) return read(0, bytes);
  const bool first_comes_first = between->order() == ReadOrder::kFirstThenRest;
  ssize_t first = first_comes_first ? read(0, between->first()) : 0;
  if (first_comes_first) between->Act();
  const ssize_t rest = read(between->first(), bytes - between->first());
  if (!first_comes_first) between->Act(), first = read(0, between->first());
  return first < static_cast<ssize_t>(between->first()) || rest < 0 ? first : first + rest;
}

namespace leakhunt::ledger {
namespace {

using protocol::RecordSlot;
using protocol::SlotState;
using snapshot::Snapshot;
using testing::PageBuilder;

class Mapping {
 public:
  explicit Mapping(int fd, size_t bytes)
      : bytes_(bytes), at_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) {}
  ~Mapping() { ::munmap(at_, bytes_); }
  template <class T>
  T* At(uint64_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_) + offset);
  }

 private:
  size_t bytes_;
  void* at_;
};

void StoreRelaxed(uint64_t* word, uint64_t value) { std::atomic_ref(*word).store(value, std::memory_order_relaxed); }
void StoreRelease(uint64_t* word, uint64_t value) { std::atomic_ref(*word).store(value, std::memory_order_release); }

// Bears and buries a block in `slot`, every word of which names its generation.
void Rebirth(RecordSlot* slot, uint64_t generation) {
  StoreRelease(&slot->state, protocol::PackState(generation - 1, SlotState::kDead));
  std::atomic_thread_fence(std::memory_order_seq_cst);
  StoreRelaxed(&slot->size_interval, generation & 0xFFFF);
  StoreRelaxed(&slot->stack_birth, generation & 0xFFFF);
  StoreRelaxed(&slot->address_kind, generation & 0xFFFF);
  StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kLive));
}

bool Whole(const RecordSlot& slot) {
  const uint64_t mark = protocol::GenerationOf(slot.state) & 0xFFFF;
  return slot.size_interval == mark && slot.stack_birth == mark && slot.address_kind == mark;
}

TEST(PageLive, SlotsAreNeverSeenHalfWritten) {
  PageBuilder pages;
  const uint64_t area = pages.AddArea(protocol::AreaKind::kRecords, 16, 1);
  UniqueFd fd = pages.Seal();
  const Mapping mapping(fd.Get(), protocol::kExtentBytes);
  constexpr uint64_t kSlots = 64;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t generation = 1; !stop.load(std::memory_order_relaxed); ++generation) {
      for (uint64_t i = 0; i < kSlots; ++i) Rebirth(mapping.At<RecordSlot>(area) + i, generation);
    }
  });
  Result<PageFile> file = PageFile::Open(std::move(fd));
  ASSERT_TRUE(file);
  SlotCopier copier(*file, PageWriter::kActive);
  uint64_t seen = 0, torn = 0;
  for (int sweep = 0; sweep < 20'000; ++sweep) {
    copier.ForEach<RecordSlot>(Area{area, 16 * protocol::kPageBytes, 1}, [&](uint64_t, const RecordSlot& slot) {
      if (protocol::StateOf(slot.state) != SlotState::kLive) return;
      ++seen;
      if (!Whole(slot)) ++torn;
    });
  }
  stop = true;
  writer.join();
  EXPECT_GT(seen, 0u);
  EXPECT_EQ(torn, 0u);
}

// One slot that is born anew while it is read, in the reads that `in_read` (their number) says.
class RebornSlot {
 public:
  explicit RebornSlot(std::function<bool(int)> in_read, ReadOrder order = ReadOrder::kRestThenFirst)
      : order_(order),
        area_(pages_.AddArea(protocol::AreaKind::kRecords, 1, 1)),
        fd_(pages_.Seal()),
        mapping_(fd_.Get(), protocol::kExtentBytes),
        in_read_(std::move(in_read)) {}

  // The live copies that a sweep shows.
  std::vector<RecordSlot> Sweep() {
    std::vector<RecordSlot> live;
    Result<PageFile> file = PageFile::Open(std::move(fd_));
    if (!file) return live;
    RecordSlot* slot = mapping_.At<RecordSlot>(area_);
    uint64_t generation = 1;
    Rebirth(slot, generation);
    int reads = 0;
    const Between between(sizeof(slot->state), [&] {
      if (in_read_(reads++)) Rebirth(slot, ++generation);
    }, order_);
    SlotCopier copier(*file, PageWriter::kActive);
    copier.ForEach<RecordSlot>(Area{area_, protocol::kPageBytes, 1}, [&](uint64_t, const RecordSlot& copy) {
      if (protocol::StateOf(copy.state) == SlotState::kLive) live.push_back(copy);
    });
    return live;
  }

 private:
  ReadOrder order_;
  PageBuilder pages_;
  uint64_t area_;
  UniqueFd fd_;
  Mapping mapping_;
  std::function<bool(int)> in_read_;
};

TEST(PageLive, AReadThatTakesTheStateWordLastIsNotBelieved) {
  for (int read = 0; read < 6; ++read) {
    const std::vector<RecordSlot> live = RebornSlot([&](int number) { return number == read; }).Sweep();
    ASSERT_EQ(live.size(), 1u) << "reborn in read " << read;
    EXPECT_TRUE(Whole(live[0])) << "reborn in read " << read;
  }
}

// The copy has the old word and new contents then, and the look before it agrees: the look after it tells.
TEST(PageLive, AReadThatTakesTheStateWordFirstIsNotBelieved) {
  for (int read = 0; read < 6; ++read) {
    const std::vector<RecordSlot> live =
        RebornSlot([&](int number) { return number == read; }, ReadOrder::kFirstThenRest).Sweep();
    ASSERT_EQ(live.size(), 1u) << "reborn in read " << read;
    EXPECT_TRUE(Whole(live[0])) << "reborn in read " << read;
  }
}

// A gigabyte of pages that are not there, said to be of each kind.
TEST(PageLive, HolesAreNotRead) {
  constexpr uint32_t kExtents = 1024;
  for (uint32_t kind = 2; kind <= 13; ++kind) {
    PageBuilder pages;
    const uint32_t stack = pages.AddStack({0x1000});
    pages.AddRecord({.size = 640, .stack = stack});
    pages.OverrideExtents(kExtents);
    UniqueFd fd = pages.Seal(uint64_t{kExtents} * protocol::kExtentBytes);
    const Mapping mapping(fd.Get(), uint64_t{kExtents} * protocol::kExtentBytes);
    for (uint32_t extent = 1; extent < kExtents; ++extent) {
      auto* header = mapping.At<protocol::ExtentHeader>(uint64_t{extent} * protocol::kExtentBytes);
      header->magic = protocol::kExtentMagic;
      header->index = extent;
      header->pages[0].word0 = kind | (255u << 8);
    }
    auto ledger = ProcessLedger::Open(std::move(fd));
    ASSERT_TRUE(ledger);
    CaptureOptions options;
    options.now_ms = testing::kStartedMs + 1000;
    Snapshot out;
    const uint64_t before = g_reads;
    ASSERT_TRUE(testing::CaptureWhole(**ledger, options, &out));
    // Directories are read a few times for each part, and the head of an area whose pages are appended to.
    EXPECT_LT(g_reads - before, 20u * kExtents) << "areas of kind " << kind;
    EXPECT_EQ(out.sites.size(), 1u) << "areas of kind " << kind;
  }
}

TEST(PageLive, ASlotThatWillNotHoldStillIsShownAsVoid) {
  EXPECT_TRUE(RebornSlot([](int) { return true; }).Sweep().empty());
}

TEST(PageLive, AThreadIsShownWithItsNameOrNotYet) {
  for (int in_read = 0; in_read < 4; ++in_read) {
    PageBuilder pages;
    const uint64_t area = pages.AddArea(protocol::AreaKind::kThreads, 1, 0);
    UniqueFd fd = pages.Seal();
    const Mapping mapping(fd.Get(), protocol::kExtentBytes);
    Result<PageFile> file = PageFile::Open(std::move(fd));
    ASSERT_TRUE(file);
    const PageDirectory directory = PageDirectory::Read(*file, 1);
    const ProcessClock clock(*file->ReadHeader(), testing::kStartedMs + 1000);
    int reads = 0;
    const Between between(sizeof(uint64_t), [&] {
      if (reads++ != in_read) return;
      auto* record = mapping.At<protocol::ThreadRecord>(area);
      std::strcpy(record->name, "worker");
      record->index = 1;
      std::atomic_ref(record->tid).store(7, std::memory_order_release);
    });
    ThreadTable threads;
    for (int sweep = 0; sweep < 2; ++sweep) {
      threads.Refresh(*file, directory, clock);
      Snapshot out;
      ThreadTable(threads).MoveInto(&out);
      const bool published_before = reads >= in_read + 3;
      EXPECT_TRUE(out.threads.size() == 1 || !published_before) << "published in read " << in_read;
      for (const snapshot::Thread& thread : out.threads) {
        EXPECT_EQ(thread.name, "worker") << "published in read " << in_read << ", sweep " << sweep;
      }
    }
    EXPECT_GT(reads, in_read);
  }
}

TEST(PageLive, APointOfTheHeaderIsShownWithItsContentsOrNotYet) {
  constexpr uint64_t kMeanBytes = 65'536;
  for (int in_read = 0; in_read < 2; ++in_read) {
    PageBuilder pages;
    UniqueFd fd = pages.Seal();
    const Mapping mapping(fd.Get(), protocol::kExtentBytes);
    Result<PageFile> file = PageFile::Open(std::move(fd));
    ASSERT_TRUE(file);
    auto* header = mapping.At<protocol::ProcessHeader>(protocol::kPageBytes);
    const uint32_t before = header->sampling_points;
    int reads = 0;
    const Between between(offsetof(protocol::ProcessHeader, activity), [&] {
      if (reads++ != in_read) return;
      header->sampling[before] = {.time_ns = 5, .mean_bytes = kMeanBytes};
      std::atomic_ref(header->sampling_points).store(before + 1, std::memory_order_release);
    });
    const Result<protocol::ProcessHeader> first = file->ReadHeader();
    const Result<protocol::ProcessHeader> second = file->ReadHeader();
    ASSERT_TRUE(first && second);
    if (first->sampling_points != before) {
      EXPECT_EQ(first->sampling[before].mean_bytes, kMeanBytes) << "added in read " << in_read;
    }
    ASSERT_EQ(second->sampling_points, before + 1);
    EXPECT_EQ(second->sampling[before].mean_bytes, kMeanBytes);
  }
}

// A guest of one thread: fills the slots of one area and empties them again, tallying each step.
class Churner {
 public:
  static constexpr uint64_t kBlock = 100;

  Churner(const Mapping& mapping, uint32_t stack, uint64_t tally, uint64_t slots)
      : stack_(stack), tally_(mapping.At<protocol::StackTally>(tally)), slots_(mapping.At<RecordSlot>(slots)) {}

  void Bear(uint64_t index) {
    const RecordSlot slot = PageBuilder::MakeRecord({.size = kBlock, .stack = stack_}, ++generation_);
    StoreRelaxed(&tally_->born_count_256, tally_->born_count_256 + 256);
    StoreRelaxed(&tally_->born_bytes, tally_->born_bytes + kBlock);
    StoreRelaxed(&tally_->samples, tally_->samples + 1);
    StoreRelaxed(&slots_[index].size_interval, slot.size_interval);
    StoreRelaxed(&slots_[index].stack_birth, slot.stack_birth);
    StoreRelaxed(&slots_[index].address_kind, slot.address_kind);
    StoreRelease(&slots_[index].state, slot.state);
  }

  void Bury(uint64_t index) {
    const uint64_t generation = protocol::GenerationOf(slots_[index].state);
    StoreRelease(&slots_[index].state, protocol::PackState(generation, SlotState::kDead));
    StoreRelaxed(&tally_->died_bytes, tally_->died_bytes + kBlock);
    StoreRelaxed(&tally_->died_samples, tally_->died_samples + 1);
  }

 private:
  uint32_t stack_;
  protocol::StackTally* tally_;
  RecordSlot* slots_;
  uint64_t generation_ = 0;
};

// The sites of a capture that swept `blocks` and reads the tallies for the second time now.
std::vector<snapshot::Site> SitesOf(const PageFile& file, const PageDirectory& directory, uint32_t stack, const ProcessClock& clock,
                                    const TallyMarks& before, BlockSums blocks) {
  Snapshot out;
  testing::KeptRows kept(&out);
  StackTable stacks(file, &kept);
  stacks.Resolve(directory, {stack});
  ScopeTable scopes;
  ThreadTable threads;
  Sightings sightings;
  SiteRows rows(stacks, clock);
  rows.AddBlocks(std::move(blocks), &scopes);
  rows.AddTallies(&before, TallySums::Read(file, TallyPages(file, directory), StackRange{}), MappingMemory());
  rows.Finish(&threads, &sightings, testing::kStartedMs + 1000, &kept);
  return out.sites;
}

TEST(PageLive, ABlockOfNoBytesThatIsBornMeanwhileMovesTheCount) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const uint64_t tally = pages.AddTally({.stack = stack});
  pages.AddRecord({.size = 100, .stack = stack});
  UniqueFd fd = pages.Seal();
  const Mapping mapping(fd.Get(), protocol::kExtentBytes);
  Result<PageFile> file = PageFile::Open(std::move(fd));
  ASSERT_TRUE(file);
  const PageDirectory directory = PageDirectory::Read(*file, 1);
  const ProcessClock clock(*file->ReadHeader(), testing::kStartedMs + 1000);
  SlotCopier copier(*file, PageWriter::kActive);
  const TallyMarks before(TallySums::Read(*file, TallyPages(*file, directory), StackRange{}));
  BlockSums blocks = BlockSums::Sweep(&copier, directory, StackRange{}, clock, {});
  auto* counted = mapping.At<protocol::StackTally>(tally);
  StoreRelaxed(&counted->born_count_256, counted->born_count_256 + 256);
  StoreRelaxed(&counted->samples, counted->samples + 1);
  const std::vector<snapshot::Site> sites = SitesOf(*file, directory, stack, clock, before, std::move(blocks));
  ASSERT_EQ(sites.size(), 1u);
  EXPECT_EQ(sites[0].live_count.moved_down, 1);
  EXPECT_EQ(sites[0].live_bytes.moved_down, 0);
}

TEST(PageLive, BoundsHoldWhatMovedBeforeAndAfterASlotWasSwept) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const uint64_t tally = pages.AddTally({.stack = stack});
  const uint64_t area = pages.AddArea(protocol::AreaKind::kRecords, 4, 1);
  UniqueFd fd = pages.Seal();
  const Mapping mapping(fd.Get(), protocol::kExtentBytes);
  Churner guest(mapping, stack, tally, area);
  Result<PageFile> file = PageFile::Open(std::move(fd));
  ASSERT_TRUE(file);
  const PageDirectory directory = PageDirectory::Read(*file, 1);
  const ProcessClock clock(*file->ReadHeader(), testing::kStartedMs + 1000);
  SlotCopier copier(*file, PageWriter::kActive);

  for (uint64_t i = 0; i < 10; ++i) guest.Bear(i);
  const TallyMarks before(TallySums::Read(*file, TallyPages(*file, directory), StackRange{}));  // the moment the snapshot speaks of: 1000 bytes
  for (uint64_t i = 10; i < 13; ++i) guest.Bear(i);
  guest.Bury(0), guest.Bury(1);
  BlockSums blocks = BlockSums::Sweep(&copier, directory, StackRange{}, clock, {});
  guest.Bear(13);
  for (uint64_t i = 2; i < 6; ++i) guest.Bury(i);

  const std::vector<snapshot::Site> sites = SitesOf(*file, directory, stack, clock, before, std::move(blocks));
  ASSERT_EQ(sites.size(), 1u);
  EXPECT_EQ(sites[0].live_bytes.value, 1100);
  EXPECT_EQ(sites[0].live_bytes.moved_down, 400);
  EXPECT_EQ(sites[0].live_bytes.moved_up, 600);
  EXPECT_EQ(sites[0].live_count.moved_down, 4);
  EXPECT_EQ(sites[0].live_count.moved_up, 6);
  EXPECT_EQ(sites[0].total_bytes.value, 1400);
  EXPECT_EQ(sites[0].total_bytes.moved_down, 400);
  EXPECT_EQ(sites[0].total_bytes.moved_up, 0);
}

TEST(PageLive, CapturesOfAProcessThatNeverRestsAreConsistent) {
  constexpr uint64_t kSlots = 4096;
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const uint64_t tally = pages.AddTally({.stack = stack});
  const uint64_t area = pages.AddArea(protocol::AreaKind::kRecords, kSlots * 32 / protocol::kPageBytes, 1);
  UniqueFd fd = pages.Seal();
  const Mapping mapping(fd.Get(), protocol::kExtentBytes);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    Churner guest(mapping, stack, tally, area);
    for (uint64_t n = 0; !stop.load(std::memory_order_relaxed); ++n) {
      (n / kSlots) % 2 == 0 ? guest.Bear(n % kSlots) : guest.Bury(n % kSlots);
    }
  });
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(std::move(fd));
  ASSERT_TRUE(ledger);
  CaptureOptions options;
  options.now_ms = testing::kStartedMs + 1000;
  double moved = 0, last_total = 0;
  for (int i = 0; i < 200 || (moved == 0 && i < 100'000); ++i) {
    Snapshot out;
    ASSERT_TRUE(testing::CaptureWhole(**ledger, options, &out));
    if (out.sites.empty()) continue;  // before the first birth
    ASSERT_EQ(out.sites.size(), 1u);
    const snapshot::Site& site = out.sites[0];
    ASSERT_EQ(site.live_bytes.value, site.live_count.value * Churner::kBlock);
    ASSERT_LE(site.live_bytes.value, kSlots * Churner::kBlock);
    ASSERT_GE(site.total_bytes.value, last_total);
    ASSERT_EQ(out.losses.invalid_records, 0u);
    // What lives is what was born and has not died, give or take what moved while it was being read.
    const double balance = site.total_bytes.value - site.freed_bytes;
    const double slack = site.live_bytes.moved_down + site.live_bytes.moved_up + Churner::kBlock;
    ASSERT_NEAR(site.live_bytes.value, balance, slack);
    last_total = site.total_bytes.value;
    moved += site.live_bytes.moved_down + site.live_bytes.moved_up;
  }
  stop = true;
  writer.join();
  EXPECT_GT(moved, 0);
}

// A guest at its memory bound raises the floor step by step and thins its records by the shared rule. Nothing dies, so
// every capture in between must estimate the same truth; one that mixed two floors would miss whole steps of it.
TEST(PageLive, AFloorThatRisesDuringACaptureDoesNotBiasIt) {
  constexpr uint64_t kSlots = 8192, kBlock = 512;
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const uint64_t area = pages.AddArea(protocol::AreaKind::kRecords, kSlots * 32 / protocol::kPageBytes, 1);
  for (uint64_t i = 0; i < kSlots; ++i) {
    pages.Put(area + i * 32, PageBuilder::MakeRecord({.size = kBlock, .stack = stack}, i + 1));
  }
  UniqueFd fd = pages.Seal();
  const Mapping mapping(fd.Get(), protocol::kExtentBytes);
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(std::move(fd));
  ASSERT_TRUE(ledger);
  std::atomic<bool> captured{false};
  std::thread guest([&] {
    auto* header = mapping.At<protocol::ProcessHeader>(protocol::kPageBytes);
    for (uint32_t floor = 1024; floor <= 16'384; floor *= 2) {
      while (!captured.exchange(false)) std::this_thread::yield();
      std::atomic_ref(header->floor_interval_bytes).store(floor, std::memory_order_release);
      const double p = WeighBlock(kBlock, floor).probability;
      for (uint64_t i = 0; i < kSlots; ++i) {
        RecordSlot* slot = mapping.At<RecordSlot>(area) + i;
        const uint64_t generation = protocol::GenerationOf(slot->state);
        if (protocol::StateOf(slot->state) != SlotState::kLive) continue;
        if (protocol::KeepAtFloor(area + i * 32, generation, 1, p)) continue;
        StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kThinned));
      }
    }
  });
  CaptureOptions options;
  options.now_ms = testing::kStartedMs + 1000;
  for (int i = 0; i < 400; ++i) {
    Snapshot out;
    const Result<Unit> done = testing::CaptureWhole(**ledger, options, &out);
    const snapshot::Weighted live = out.sites.empty() ? snapshot::Weighted{} : out.sites[0].live_bytes;
    EXPECT_TRUE(done);
    EXPECT_NEAR(live.value, kSlots * kBlock, 5 * std::sqrt(live.variance)) << "capture " << i;
    captured = true;
  }
  std::atomic<bool> joined{false};
  std::thread release([&] {
    while (!joined) captured = true, std::this_thread::yield();
  });
  guest.join();
  joined = true;
  release.join();
}

TEST(PageLive, MovementIsTheDifferenceOfTwoTallies) {
  TallySum before, after;
  before.samples = 10, before.born_bytes = 1000, before.born_count = 20, before.died_samples = 4,
  before.died_bytes = 400;
  after.samples = 13, after.born_bytes = 1300, after.born_count = 26, after.died_samples = 5, after.died_bytes = 500;
  const Moved moved = MovedBetween(MarkOf(before), MarkOf(after));
  EXPECT_EQ(moved.born_bytes, 300);
  EXPECT_EQ(moved.born_count, 6);
  EXPECT_EQ(moved.died_bytes, 100);
  EXPECT_NEAR(moved.died_count, 2, 1e-9);
  EXPECT_EQ(MovedBetween(TallyMark{}, MarkOf(after)).born_bytes, 1300);
  EXPECT_EQ(MovedBetween(MarkOf(after), MarkOf(before)).born_bytes, 0);
}

TEST(PageLive, NothingMovedInAProcessAtRest) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddRecord({.size = 100, .stack = stack});
  pages.AddTally(
      {.stack = stack, .samples = 5, .born_bytes = 500, .born_count = 5, .died_samples = 4, .died_bytes = 400});
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(pages.Seal());
  ASSERT_TRUE(ledger);
  Snapshot out;
  CaptureOptions options;
  options.now_ms = testing::kStartedMs + 1000;
  ASSERT_TRUE(testing::CaptureWhole(**ledger, options, &out));
  EXPECT_EQ(out.sites[0].live_bytes.value, 100);
  EXPECT_EQ(out.sites[0].live_bytes.moved_down, 0);
  EXPECT_EQ(out.sites[0].live_bytes.moved_up, 0);
}

}  // namespace
}  // namespace leakhunt::ledger
