#include "collector/ledger/inherited_blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace leakhunt::ledger {

namespace {

constexpr size_t kMaxEntries = 1u << 19;
constexpr double kCountUnit = 1.0 / 256;
constexpr uint64_t kLatestMs = uint64_t{1} << 45;

// The guest subtracts from it; a free that overtakes its own publication leaves it below zero for a moment.
double NotBelowZero(uint64_t value) { return static_cast<int64_t>(value) < 0 ? 0 : static_cast<double>(value); }

InheritedBlocks FromTally(const protocol::InheritedTally& tally, double bytes_variance) {
  InheritedBlocks blocks;
  blocks.stack = tally.stack;
  blocks.kind = static_cast<protocol::BlockKind>(tally.kind);
  blocks.freed_samples = std::min(tally.died_samples, tally.samples);
  const uint64_t samples = tally.samples - blocks.freed_samples;
  blocks.bytes.samples = blocks.count.samples = samples;
  blocks.bytes.value = NotBelowZero(tally.live_bytes);
  blocks.count.value = NotBelowZero(tally.live_count_256) * kCountUnit;
  blocks.oldest_birth_ms = static_cast<int64_t>(std::min(tally.oldest_realtime_ms, kLatestMs));
  if (samples == 0 || bytes_variance == 0) return blocks;
  const double mean_count = blocks.count.value / static_cast<double>(samples);
  blocks.bytes.variance = bytes_variance;
  blocks.bytes.largest_weight = blocks.bytes.value / static_cast<double>(samples);
  blocks.count.variance = blocks.count.value * std::max(0.0, mean_count - 1);
  blocks.count.largest_weight = mean_count;
  return blocks;
}

}  // namespace

void ForEachInherited(const PageFile& file, const PageDirectory& directory,
                      const std::function<void(const protocol::InheritedTally&)>& visit) {
  protocol::InheritedTally page[protocol::kPageBytes / sizeof(protocol::InheritedTally)];
  for (const Area& area : directory.Areas(protocol::AreaKind::kInheritedBlocks)) {
    file.ForEachPage(area.offset, area.offset + area.bytes, [&](uint64_t at) {
      if (!file.Read(at, page, sizeof(page))) return false;
      for (const protocol::InheritedTally& tally : page) {
        if (tally.samples != 0) visit(tally);
      }
      return true;
    });
  }
}

std::vector<InheritedBlocks> ReadInheritedBlocks(const PageFile& file, const PageDirectory& directory, StackRange range,
                                                 uint64_t* refused) {
  std::vector<InheritedBlocks> all;
  ForEachInherited(file, directory, [&](const protocol::InheritedTally& tally) {
    if (!range.Holds(tally.stack)) return;
    const double variance = std::bit_cast<double>(tally.live_bytes_var);
    const bool valid = tally.kind <= static_cast<uint32_t>(protocol::BlockKind::kShm) && std::isfinite(variance) &&
                       variance >= 0 && all.size() < kMaxEntries;
    if (valid) all.push_back(FromTally(tally, variance));
    else ++*refused;
  });
  return all;
}

}  // namespace leakhunt::ledger
