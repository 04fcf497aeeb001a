// What is in memory of address ranges, of this very process, and how RSS is taken apart.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "collector/watch/memory_parts.h"
#include "collector/watch/proc_directory.h"
#include "collector/watch/resident_pages.h"

namespace leakhunt::watch {
namespace {

constexpr uint64_t kPage = 4096, kMiB = 1 << 20;

// A mapping of this process that goes with the object.
class Mapped {
 public:
  Mapped(uint64_t bytes, int protection, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1)
      : bytes_(bytes), at_(static_cast<char*>(mmap(nullptr, bytes, protection, flags, fd, 0))) {
    madvise(at_, bytes, MADV_NOHUGEPAGE);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() { munmap(at_, bytes_); }

  void Touch(uint64_t offset, uint64_t bytes) { memset(at_ + offset, 1, bytes); }
  char* At(uint64_t offset) const { return at_ + offset; }
  uint64_t Start() const { return reinterpret_cast<uint64_t>(at_); }
  uint64_t End() const { return Start() + bytes_; }

 private:
  uint64_t bytes_;
  char* at_;
};

enum class Pagemap { kOpen, kClosed };

ResidentPages ReadSelf(Pagemap pagemap = Pagemap::kOpen) {
  UniqueFd fd(pagemap == Pagemap::kOpen ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1);
  return {ParseMemoryMap(ReadFile("/proc/self/smaps", 64 << 20).value_or("")), PageRuns(std::move(fd))};
}

double Bytes(const ResidentPages& pages, uint64_t start, uint64_t end) { return pages.In(start, end).bytes; }

TEST(ResidentPages, OnlyWhatWasTouchedIsInMemory) {
  Mapped reserved(64 * kMiB, PROT_NONE), touched(kMiB, PROT_READ | PROT_WRITE);
  touched.Touch(256 << 10, 128 << 10);
  const ResidentPages pages = ReadSelf();
  EXPECT_EQ(Bytes(pages, reserved.Start(), reserved.End()), 0);
  EXPECT_EQ(Bytes(pages, touched.Start(), touched.End()), 128 << 10);
  EXPECT_EQ(Bytes(pages, 0x1000, 0x2000), 0) << "nothing is mapped there";
}

// The kernel makes one mapping of neighbours that are alike: each range still has its own pages.
TEST(ResidentPages, RangesOfOneKernelMappingAreTold) {
  Mapped whole(2 * kMiB, PROT_READ | PROT_WRITE);
  whole.Touch(0, 16 * kPage);
  whole.Touch(kMiB + 8 * kPage, 4 * kPage);
  const ResidentPages pages = ReadSelf();
  EXPECT_EQ(Bytes(pages, whole.Start(), whole.Start() + kMiB), 16 * kPage);
  EXPECT_EQ(Bytes(pages, whole.Start() + kMiB, whole.End()), 4 * kPage);
}

// mprotect makes several kernel mappings of one of the program's.
TEST(ResidentPages, ARangeOfSeveralKernelMappingsIsTheirSum) {
  Mapped whole(kMiB, PROT_NONE);
  for (uint64_t i = 0; i < 4; ++i) {
    const uint64_t offset = i * 64 * kPage;
    ASSERT_EQ(mprotect(whole.At(offset), 8 * kPage, PROT_READ | PROT_WRITE), 0);
    whole.Touch(offset, 3 * kPage);
  }
  const ResidentPages pages = ReadSelf();
  EXPECT_EQ(Bytes(pages, whole.Start(), whole.End()), 12 * kPage);
}

TEST(ResidentPages, WhatWasGivenBackIsGone) {
  Mapped whole(kMiB, PROT_READ | PROT_WRITE);
  whole.Touch(0, kMiB);
  ASSERT_EQ(madvise(whole.At(0), 512 << 10, MADV_DONTNEED), 0);
  const ResidentPages pages = ReadSelf();
  EXPECT_EQ(Bytes(pages, whole.Start(), whole.End()), 512 << 10);
}

TEST(ResidentPages, SharedMemoryIsAClassOfItsOwn) {
  Mapped shared(kMiB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  shared.Touch(0, 40 * kPage);
  const ResidentPages pages = ReadSelf();
  EXPECT_EQ(Bytes(pages, shared.Start(), shared.End()), 40 * kPage);
  EXPECT_EQ(pages.RssIn(shared.Start(), shared.End(), MemoryClass::kShared), 40 * kPage);
  EXPECT_EQ(pages.RssIn(shared.Start(), shared.End(), MemoryClass::kAnonymous), 0);
}

TEST(ResidentPages, WithoutPagemapTheSharesAreBounded) {
  Mapped whole(kMiB, PROT_READ | PROT_WRITE);
  whole.Touch(0, 512 << 10);
  const ResidentPages pages = ReadSelf(Pagemap::kClosed);
  const ledger::InMemory half = pages.In(whole.Start(), whole.Start() + 512 * 1024);
  EXPECT_LE(half.low, 512 << 10);
  EXPECT_GE(half.high, 512 << 10);
  EXPECT_LT(half.low, half.high) << "half of it is in memory, of which half is not known";
}

TEST(ResidentPages, OldKernelsAnswerPageByPage) {
  Mapped whole(2 * kMiB, PROT_READ | PROT_WRITE);
  whole.Touch(kMiB, 7 * kPage);
  // A pagemap that knows no PAGEMAP_SCAN: a copy of the words in a plain file.
  std::vector<uint64_t> words(2 * kMiB / kPage);
  UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  const auto offset = static_cast<off_t>(whole.Start() / kPage * 8);
  ASSERT_EQ(pread(pagemap.Get(), words.data(), words.size() * 8, offset), static_cast<ssize_t>(words.size() * 8));
  UniqueFd copy(memfd_create("pagemap", MFD_CLOEXEC));
  ASSERT_EQ(pwrite(copy.Get(), words.data(), words.size() * 8, offset), static_cast<ssize_t>(words.size() * 8));
  const auto runs = PageRuns(std::move(copy)).Read(whole.Start(), whole.End());
  ASSERT_TRUE(runs);
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ(runs->front().start, whole.Start() + kMiB);
  EXPECT_EQ(runs->front().end, whole.Start() + kMiB + 7 * kPage);
}

double Sum(const MemoryParts& p) {
  return p.heap_live_bytes + p.slack_bytes + p.unseen_bytes + p.mapped_bytes + p.stack_bytes + p.file_bytes +
         p.shared_bytes + p.leakhunt_bytes;
}

MemoryMap MapOf(uint64_t anonymous_kib) {
  return ParseMemoryMap("1000-10000000 rw-p 0 0:0 0 [heap]\nRss: " + std::to_string(anonymous_kib) +
                        " kB\n20000000-30000000 rw-s 0 0:1 7 /dev/shm/pool\nRss: 3000 kB\n"
                        "40000000-50000000 r--p 0 0:2 8 /lib/x.so\nRss: 2000 kB\n");
}

TEST(MemoryParts, TheyAddUpToRss) {
  for (const double live : {0.0, 3e6, 9e9}) {
    HeapFigures heap;
    heap.live_bytes = live;
    heap.total_bytes = 2 * live;
    const ResidentPages pages(MapOf(8000), PageRuns());
    const MemoryParts parts = TakeApart(pages, {}, heap);
    EXPECT_DOUBLE_EQ(Sum(parts), static_cast<double>(pages.Map().RssBytes())) << live;
    EXPECT_EQ(parts.shared_bytes, 3000 << 10);
    EXPECT_GE(parts.slack_bytes, 0);
  }
}

TEST(MemoryParts, TheProgramsMappingsAreTakenByTheirPagesNotTheirSize) {
  Mapped reserved(512 * kMiB, PROT_NONE), touched(8 * kMiB, PROT_READ | PROT_WRITE);
  touched.Touch(0, kMiB);
  const ResidentPages pages = ReadSelf();
  HeapFigures heap;
  heap.live_bytes = heap.total_bytes = 1 << 16;
  const MemoryParts parts = TakeApart(pages, {{reserved.Start(), reserved.End()}, {touched.Start(), touched.End()}}, heap);
  EXPECT_EQ(parts.mapped_bytes, kMiB);
  EXPECT_EQ(parts.heap_live_bytes, 1 << 16) << "a large mapping leaves the heap what it holds";
  EXPECT_NEAR(Sum(parts), static_cast<double>(pages.Map().RssBytes()), 1);
}

TEST(MemoryParts, LeakhuntsUntouchedMemoryDoesNotDisplaceTheHeap) {
  const ResidentPages pages(MapOf(2000), PageRuns());
  HeapFigures heap;
  heap.live_bytes = heap.total_bytes = 1 << 20;
  heap.own_private_bytes = 64 << 20;
  const MemoryParts parts = TakeApart(pages, {}, heap);
  EXPECT_EQ(parts.heap_live_bytes, 1 << 20);
  EXPECT_DOUBLE_EQ(Sum(parts), static_cast<double>(pages.Map().RssBytes()));
}

TEST(MemoryParts, MoreThanTheAllocatorWasAskedForIsNotItsSlack) {
  const ResidentPages pages(MapOf(200 << 10), PageRuns());
  HeapFigures heap;
  heap.live_bytes = 1e6;
  heap.total_bytes = 2e6;
  heap.total_count = 1000;
  const MemoryParts parts = TakeApart(pages, {}, heap);
  EXPECT_LT(parts.slack_bytes, 6e6);
  EXPECT_GT(parts.unseen_bytes, 190e6);
  heap.total_bytes = 400e6;  // it was asked for as much: freed since, and kept
  EXPECT_EQ(TakeApart(pages, {}, heap).unseen_bytes, 0);
  heap.hidden = true;
  EXPECT_EQ(TakeApart(pages, {}, heap).slack_bytes, 0);
}

}  // namespace
}  // namespace leakhunt::watch
