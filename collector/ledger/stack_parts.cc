#include "collector/ledger/stack_parts.h"

#include <algorithm>
#include <array>

#include "collector/ledger/inherited_blocks.h"
#include "collector/ledger/tally_sums.h"

namespace leakhunt::ledger {

namespace {

constexpr uint64_t kStacksAtOnce = 3072;
constexpr uint64_t kFewestParts = 16, kMostParts = 256;  // at the most, by the bytes that each part sweeps
constexpr uint64_t kSweptBytes = uint64_t{4} << 30;

uint64_t BytesOf(const PageDirectory& directory, protocol::AreaKind kind) {
  uint64_t bytes = 0;
  for (const Area& area : directory.Areas(kind)) bytes += area.bytes;
  return bytes;
}

// Tallies by the reference of their stack, in equal spans of references.
class Histogram {
 public:
  explicit Histogram(uint64_t file_bytes) {
    while (file_bytes / 8 >> shift_ >= kSpans) ++shift_;
  }

  uint16_t Add(uint32_t stack) {
    const auto span = static_cast<uint16_t>(std::min<uint64_t>(stack >> shift_, kSpans - 1));
    ++counts_[span];
    ++all_;
    return span;
  }

  // The first span of each part.
  std::vector<uint16_t> Cut(uint64_t most_parts) const {
    const uint64_t most = std::max(kStacksAtOnce, all_ / most_parts);
    std::vector<uint16_t> cuts = {0};
    uint64_t inside = 0;
    for (uint16_t span = 0; span < kSpans; ++span) {
      if (inside > 0 && inside + counts_[span] > most) {
        cuts.push_back(span);
        inside = 0;
      }
      inside += counts_[span];
    }
    return cuts;
  }

  uint32_t FirstOf(uint16_t span) const { return static_cast<uint32_t>(span) << shift_; }

 private:
  static constexpr uint16_t kSpans = 4096;

  uint32_t shift_ = 0;
  std::array<uint32_t, kSpans> counts_{};
  uint64_t all_ = 0;
};

// A page of tallies, and the spans that its stacks lie in.
struct PageSpans {
  uint32_t page;
  uint16_t lowest, highest;
};

}  // namespace

std::vector<StackPart> StackParts(const PageFile& file, const PageDirectory& directory) {
  Histogram histogram(file.size_bytes());
  std::vector<PageSpans> pages;
  for (const uint32_t page : TallyPages(file, directory)) {
    PageSpans spans{page, 0xFFFF, 0};
    ForEachTally(file, page, [&](const protocol::StackTally& tally) {
      const uint16_t span = histogram.Add(tally.stack);
      spans.lowest = std::min(spans.lowest, span);
      spans.highest = std::max(spans.highest, span);
    });
    if (spans.lowest <= spans.highest) pages.push_back(spans);
  }
  ForEachInherited(file, directory, [&](const protocol::InheritedTally& tally) { histogram.Add(tally.stack); });

  const uint64_t swept =
      BytesOf(directory, protocol::AreaKind::kRecords) + BytesOf(directory, protocol::AreaKind::kInheritedBlocks);
  const uint64_t most_parts = std::clamp(kSweptBytes / std::max<uint64_t>(swept, 1), kFewestParts, kMostParts);
  const std::vector<uint16_t> cuts = histogram.Cut(most_parts);
  std::vector<StackPart> parts(cuts.size());
  for (size_t i = 0; i < cuts.size(); ++i) {
    parts[i].range.first = histogram.FirstOf(cuts[i]);
    if (i > 0) parts[i - 1].range.last = parts[i].range.first - 1;
  }
  for (const PageSpans& spans : pages) {
    auto part = static_cast<size_t>(std::upper_bound(cuts.begin(), cuts.end(), spans.lowest) - cuts.begin()) - 1;
    for (; part < cuts.size() && cuts[part] <= spans.highest; ++part) parts[part].tally_pages.push_back(spans.page);
  }
  return parts;
}

}  // namespace leakhunt::ledger
