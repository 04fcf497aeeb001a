#include "collector/ledger/tally_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

namespace leakhunt::ledger {

namespace {

constexpr uint32_t kMaxTallies = 1u << 18;
constexpr double kCountUnit = 1.0 / 256;
constexpr size_t kTalliesAPage = protocol::kPageBytes / sizeof(protocol::StackTally);
constexpr size_t kReserved = 8192;

}  // namespace

std::vector<uint32_t> TallyPages(const PageFile& file, const PageDirectory& directory) {
  std::vector<uint32_t> pages;
  for (const auto kind : {protocol::AreaKind::kThreadTally, protocol::AreaKind::kSharedTally}) {
    for (const Area& area : directory.Areas(kind)) {
      file.ForEachPage(area.offset, area.offset + area.bytes, [&](uint64_t at) {
        pages.push_back(static_cast<uint32_t>(at / protocol::kPageBytes));
        return true;
      });
    }
  }
  return pages;
}

void ForEachTally(const PageFile& file, uint32_t page, const std::function<void(const protocol::StackTally&)>& visit) {
  protocol::StackTally tallies[kTalliesAPage];
  if (!file.Read(page * protocol::kPageBytes, tallies, sizeof(tallies))) return;
  for (const protocol::StackTally& tally : tallies) {
    if (tally.stack != 0 || tally.samples != 0 || tally.died_samples != 0) visit(tally);
  }
}

TallySums TallySums::Read(const PageFile& file, std::span<const uint32_t> pages, StackRange range) {
  TallySums sums;
  sums.sums_.reserve(std::min(pages.size() * kTalliesAPage, kReserved));  // what is not used of it is not resident
  for (const uint32_t page : pages) {
    ForEachTally(file, page, [&](const protocol::StackTally& tally) {
      if (range.Holds(tally.stack)) sums.Add(tally);
    });
  }
  return sums;
}

void TallySums::Add(const protocol::StackTally& tally) {
  const double bytes_variance = std::bit_cast<double>(tally.born_bytes_var);
  const double count_variance = std::bit_cast<double>(tally.born_count_var);
  const bool numbers =
      std::isfinite(bytes_variance) && bytes_variance >= 0 && std::isfinite(count_variance) && count_variance >= 0;
  const protocol::BlockKind kind = protocol::KindOfTally(tally.kind_birth);
  if (kind > protocol::BlockKind::kShm || !numbers || size() >= kMaxTallies) {
    ++refused_;
    return;
  }
  const uint32_t number = index_.FindOrAdd(StackKindKey(tally.stack, kind));
  if (number == sums_.size()) sums_.emplace_back();
  TallySum& sum = sums_[number];
  sum.samples += tally.samples;
  sum.born_bytes += static_cast<double>(tally.born_bytes);
  sum.born_count += static_cast<double>(tally.born_count_256) * kCountUnit;
  sum.born_bytes_variance += bytes_variance;
  sum.born_count_variance += count_variance;
  sum.died_samples += tally.died_samples;
  sum.died_bytes += static_cast<double>(tally.died_bytes);
  sum.last_birth_tick = std::max(sum.last_birth_tick, protocol::BirthTickOfTally(tally.kind_birth));
  LifetimeCounts::Buckets lifetimes;
  std::copy(std::begin(tally.lifetimes), std::end(tally.lifetimes), lifetimes.begin());
  sum.lifetimes.Add(lifetimes);
}

TallyMark MarkOf(const TallySum& sum) {
  return {sum.born_bytes, sum.born_count, sum.died_bytes, sum.DiedCount()};
}

TallyMarks::TallyMarks(TallySums sums) : index_(std::move(sums.index_)) {
  marks_.reserve(sums.sums_.size());
  for (const TallySum& sum : sums.sums_) marks_.push_back(MarkOf(sum));
}

TallyMark TallyMarks::Find(uint64_t stack_kind) const {
  const uint32_t number = index_.Find(stack_kind);
  return number == KeyIndex::kAbsent ? TallyMark{} : marks_[number];
}

Moved MovedBetween(const TallyMark& before, const TallyMark& after) {
  Moved moved;
  moved.born_bytes = std::max(0.0, after.born_bytes - before.born_bytes);
  moved.born_count = std::max(0.0, after.born_count - before.born_count);
  moved.died_bytes = std::max(0.0, after.died_bytes - before.died_bytes);
  moved.died_count = std::max(0.0, after.died_count - before.died_count);
  return moved;
}

}  // namespace leakhunt::ledger
