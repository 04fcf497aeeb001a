#include "collector/watch/resident_pages.h"

#include <algorithm>

namespace leakhunt::watch {
namespace {

double Exact(uint64_t bytes) { return static_cast<double>(bytes); }

uint64_t Overlap(uint64_t start, uint64_t end, uint64_t from, uint64_t to) {
  const uint64_t low = std::max(start, from), high = std::min(end, to);
  return low < high ? high - low : 0;
}

double Scale(uint64_t said, uint64_t counted) {
  return counted == 0 ? 0 : static_cast<double>(said) / static_cast<double>(counted);
}

}  // namespace

size_t ResidentPages::FirstAreaAfter(uint64_t address) const {
  const auto at = std::partition_point(map_.areas.begin(), map_.areas.end(),
                                       [&](const MemoryArea& area) { return area.end <= address; });
  return static_cast<size_t>(at - map_.areas.begin());
}

uint64_t ResidentPages::EndOfAreaAt(uint64_t address) const {
  const size_t i = FirstAreaAfter(address);
  return i < map_.areas.size() && map_.areas[i].start <= address ? map_.areas[i].end : 0;
}

ledger::InMemory ResidentPages::In(uint64_t start, uint64_t end) const {
  ledger::InMemory sum;
  for (size_t i = FirstAreaAfter(start); i < map_.areas.size() && map_.areas[i].start < end; ++i) {
    const Share share = ShareOf(i, start, end);
    sum.bytes += share.rss.bytes + share.swap_and_huge;
    sum.low += share.rss.low + share.swap_and_huge;
    sum.high += share.rss.high + share.swap_and_huge;
  }
  return sum;
}

double ResidentPages::RssIn(uint64_t start, uint64_t end, MemoryClass kind) const {
  double sum = 0;
  for (size_t i = FirstAreaAfter(start); i < map_.areas.size() && map_.areas[i].start < end; ++i) {
    if (map_.areas[i].kind == kind) sum += ShareOf(i, start, end).rss.bytes;
  }
  return sum;
}

ResidentPages::Share ResidentPages::ShareOf(size_t i, uint64_t start, uint64_t end) const {
  const MemoryArea& area = map_.areas[i];
  const uint64_t beside = area.swap_bytes + area.hugetlb_bytes;
  const auto all = [&](uint64_t rss, uint64_t other) {
    return Share{{Exact(rss), Exact(rss), Exact(rss)}, Exact(other)};
  };
  if (area.rss_bytes == 0 && beside == 0) return {};
  if (start <= area.start && area.end <= end) return all(area.rss_bytes, beside);
  const uint64_t overlap = Overlap(start, end, area.start, area.end);
  if (beside == 0 && area.rss_bytes >= area.end - area.start) return all(overlap, 0);
  return ShareByPages(i, start, end);
}

// Where the pages cannot be read: as if they were spread evenly, bounded by what fits.
ResidentPages::Share ResidentPages::ShareByPages(size_t i, uint64_t start, uint64_t end) const {
  const MemoryArea& area = map_.areas[i];
  const double inside = Exact(Overlap(start, end, area.start, area.end)), size = Exact(area.end - area.start);
  Share share;
  share.swap_and_huge = Exact(area.hugetlb_bytes) * inside / size;
  const std::optional<AreaPages>& pages = PagesOf(i);
  if (!pages) {
    const double rss = Exact(area.rss_bytes);
    share.rss = {rss * inside / size, std::max(0.0, rss - (size - inside)), std::min(rss, inside)};
    share.swap_and_huge += Exact(area.swap_bytes) * inside / size;
    return share;
  }
  uint64_t present = 0, swapped = 0;
  const auto first = std::partition_point(pages->runs.begin(), pages->runs.end(),
                                          [&](const PageRun& run) { return run.end <= start; });
  for (auto run = first; run != pages->runs.end() && run->start < end; ++run) {
    (run->swapped ? swapped : present) += Overlap(start, end, run->start, run->end);
  }
  const double rss = Exact(present) * pages->rss_scale;
  share.rss = {rss, rss, rss};
  share.swap_and_huge += Exact(swapped) * pages->swap_scale;
  return share;
}

const std::optional<ResidentPages::AreaPages>& ResidentPages::PagesOf(size_t i) const {
  const auto [at, fresh] = known_.try_emplace(i);
  if (!fresh) return at->second;
  const MemoryArea& area = map_.areas[i];
  std::optional<std::vector<PageRun>> runs = pages_.Read(area.start, area.end);
  if (!runs) return at->second;
  uint64_t present = 0, swapped = 0;
  for (const PageRun& run : *runs) (run.swapped ? swapped : present) += run.end - run.start;
  // Between smaps and here pages come and go, and older kernels show the zero page as present.
  at->second = AreaPages{std::move(*runs), Scale(area.rss_bytes, present), Scale(area.swap_bytes, swapped)};
  return at->second;
}

}  // namespace leakhunt::watch
