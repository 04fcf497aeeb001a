#include "collector/watch/page_runs.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace leakhunt::watch {
namespace {

// <linux/fs.h> has these since Linux 6.7 only.
struct PageRegion {
  uint64_t start, end, categories;
};
struct ScanArguments {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t kPresent = 1 << 3, kSwapped = 1 << 4, kZeroPage = 1 << 5;

constexpr uint64_t kPresentWord = uint64_t{1} << 63, kSwappedWord = uint64_t{1} << 62;

void Append(uint64_t start, uint64_t end, bool swapped, std::vector<PageRun>* runs) {
  if (!runs->empty() && runs->back().end == start && runs->back().swapped == swapped) {
    runs->back().end = end;
  } else {
    runs->push_back({start, end, swapped});
  }
}

}  // namespace

std::optional<std::vector<PageRun>> PageRuns::Read(uint64_t start, uint64_t end) const {
  if (!pagemap_.Valid()) return std::nullopt;
  std::vector<PageRun> runs;
  if (way_ == Way::kScan) {
    if (Scan(start, end, &runs)) return runs;
    way_ = Way::kWords;
    runs.clear();
  }
  if (!ReadWords(start, end, &runs)) return std::nullopt;
  return runs;
}

// The zero page, which RSS leaves out too, is not asked for.
bool PageRuns::Scan(uint64_t start, uint64_t end, std::vector<PageRun>* runs) const {
  std::array<PageRegion, 1024> regions;
  while (start < end) {
    ScanArguments arguments{};
    arguments.size = sizeof(arguments);
    arguments.start = start;
    arguments.end = end;
    arguments.vec = reinterpret_cast<uint64_t>(regions.data());
    arguments.vec_len = regions.size();
    arguments.category_inverted = kZeroPage;
    arguments.category_mask = kZeroPage;
    arguments.category_anyof_mask = kPresent | kSwapped;
    arguments.return_mask = kPresent | kSwapped;
    const int got = ioctl(pagemap_.Get(), kPagemapScan, &arguments);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 || arguments.walk_end <= start) return false;
    for (int i = 0; i < got; ++i) {
      const PageRegion& region = regions[static_cast<size_t>(i)];
      Append(region.start, region.end, (region.categories & kPresent) == 0, runs);
    }
    start = arguments.walk_end;
  }
  return true;
}

bool PageRuns::ReadWords(uint64_t start, uint64_t end, std::vector<PageRun>* runs) const {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t pages = (end - start) / page;
  if (pages > words_left_) return false;
  words_left_ -= pages;
  std::array<uint64_t, 4096> words;
  while (start < end) {
    const uint64_t wanted = std::min<uint64_t>(words.size(), (end - start) / page) * sizeof(uint64_t);
    const ssize_t got = pread(pagemap_.Get(), words.data(), wanted, static_cast<off_t>(start / page * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(uint64_t))) return false;
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); ++i, start += page) {
      if ((words[i] & (kPresentWord | kSwappedWord)) == 0) continue;
      Append(start, start + page, (words[i] & kPresentWord) == 0, runs);
    }
  }
  return true;
}

}  // namespace leakhunt::watch
