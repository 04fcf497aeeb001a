#include "viewer/site_rows.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "viewer/judged.h"
#include "viewer/categories.h"
#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

using snapshot::Site;
using snapshot::Snapshot;
using snapshot::Weighted;

void AddTo(SiteRow& row, const Site& site) {
  row.kind = row.largest_part < 0 ? site.kind : row.kind;
  if (site.live_bytes.value > row.largest_part) {
    row.largest_part = site.live_bytes.value;
    row.stack = site.stack;
    row.kind = site.kind;
  }
  row.live_bytes += site.live_bytes;
  row.live_count += site.live_count;
  row.reserved_bytes += site.reserved_bytes;
  row.total_bytes += site.total_bytes;
  row.total_count += site.total_count;
  row.first_seen_ms = snapshot::Earlier(row.first_seen_ms, site.first_seen_ms);
  row.last_seen_ms = std::max(row.last_seen_ms, site.last_seen_ms);
  row.oldest_birth_ms = snapshot::Earlier(row.oldest_birth_ms, site.oldest_birth_ms);
}

// `share` of a site's live figures: the estimate scales, and so does what is known of its error.
Weighted Part(const Weighted& whole, double share) {
  Weighted part = whole;
  part.samples = static_cast<uint64_t>(static_cast<double>(whole.samples) * share);
  part.value *= share;
  part.variance *= share;
  part.moved_down *= share;
  part.moved_up *= share;
  return part;
}

class Rows {
 public:
  Rows(Loaded& loaded, const Options& options, StackFilter filter, Patterns patterns)
      : loaded_(loaded),
        snapshot_(*loaded.snapshot),
        options_(options),
        filter_(std::move(filter)),
        patterns_(std::move(patterns)) {}

  std::vector<SiteRow> Make() {
    for (const Site& site : snapshot_.sites) {
      const ResolvedStack& stack = loaded_.resolver->Stack(site.stack);
      if (!filter_.Matches(stack, {snapshot_.scopes[site.scope]})) continue;
      if (options_.by == By::kThread) {
        AddByThread(site);
      } else {
        AddWhole(site, stack);
      }
    }
    Sort();
    return std::move(rows_);
  }

 private:
  SiteRow& RowOf(const std::string& key) {
    auto [at, fresh] = index_.try_emplace(key, rows_.size());
    if (fresh) rows_.emplace_back();
    return rows_[at->second];
  }

  std::string GroupOf(const Site& site, const ResolvedStack& stack) const {
    const ResolvedFrame* own = OwnFrame(stack);
    switch (options_.by) {
      case By::kFunction: return own == nullptr || own->function.empty() ? PlaceName(own) : own->function;
      case By::kFile: return own == nullptr || own->file.empty() ? "(no file known)" : own->file;
      case By::kModule: return own == nullptr || own->module.empty() ? "(no module)" : own->module;
      case By::kType: return snapshot::SiteKindName(site.kind);
      case By::kPattern: return patterns_.NameOf(stack);
      case By::kScope: return snapshot_.scopes[site.scope].empty() ? "(none)" : snapshot_.scopes[site.scope];
      default: return "";
    }
  }

  void AddWhole(const Site& site, const ResolvedStack& stack) {
    std::string group = GroupOf(site, stack);
    SiteKey key = KeyOf(snapshot_, site);
    std::string name = options_.by == By::kSite
                           ? std::to_string(site.stack) + "/" + std::to_string(static_cast<int>(site.kind))
                           : group;
    SiteRow& row = RowOf(name);
    row.group = group;
    const std::string& scope = snapshot_.scopes[site.scope];
    if (row.scope.empty()) row.scope = scope;
    AddTo(row, site);
    bool counted = !grown_[name].insert(key).second;
    auto rate = loaded_.growth.find(key);
    if (!counted && rate != loaded_.growth.end()) row.growth = row.growth.value_or(0) + rate->second;
    auto judged = loaded_.verdicts.find(key);
    if (judged != loaded_.verdicts.end()) row.verdict = WorseOf(row.verdict, judged->second);
  }

  void AddByThread(const Site& site) {
    double left = 1;
    for (const snapshot::ThreadShare& share : site.threads) {
      if (site.live_bytes.value <= 0) break;
      double part = std::min(left, share.live_bytes / site.live_bytes.value);
      const std::string& name = snapshot_.threads[share.thread].name;
      AddPart(site, name.empty() ? "(unnamed thread)" : name, part);
      left -= part;
    }
    if (left > 1e-9) AddPart(site, site.threads.empty() ? "(thread not known)" : "(other threads)", left);
  }

  void AddPart(const Site& site, const std::string& group, double share) {
    Site part = site;
    part.live_bytes = Part(site.live_bytes, share);
    part.live_count = Part(site.live_count, share);
    part.reserved_bytes *= share;
    part.total_bytes = part.total_count = {};
    SiteRow& row = RowOf(group);
    row.group = group;
    row.totals_known = false;
    AddTo(row, part);
  }

  double Rank(const SiteRow& row) const {
    switch (options_.sort) {
      case Sort::kLiveCount: return row.live_count.value;
      case Sort::kTotalBytes: return row.total_bytes.value;
      case Sort::kGrowth: return row.growth.value_or(-std::numeric_limits<double>::infinity());
      case Sort::kAge: return row.oldest_birth_ms == 0 ? -1e300 : -static_cast<double>(row.oldest_birth_ms);
      case Sort::kLiveBytes: break;
    }
    return row.live_bytes.value;
  }

  void Sort() {
    std::stable_sort(rows_.begin(), rows_.end(), [this](const SiteRow& a, const SiteRow& b) {
      int tier_a = options_.sort == Sort::kGrowth ? GrowthTier(a.verdict) : 0;
      int tier_b = options_.sort == Sort::kGrowth ? GrowthTier(b.verdict) : 0;
      if (tier_a != tier_b) return tier_a < tier_b;
      double x = Rank(a), y = Rank(b);
      if (x != y) return x > y;
      if (a.live_bytes.value != b.live_bytes.value) return a.live_bytes.value > b.live_bytes.value;
      return a.total_bytes.value > b.total_bytes.value;
    });
  }

  Loaded& loaded_;
  const Snapshot& snapshot_;
  const Options& options_;
  StackFilter filter_;
  Patterns patterns_;
  std::vector<SiteRow> rows_;
  std::map<std::string, size_t> index_;
  std::map<std::string, std::set<SiteKey>> grown_;  // growth is a key's, not a scope's: added once a row
};

}  // namespace

Result<std::vector<SiteRow>> SiteRows(Loaded& loaded, const Options& options) {
  if (options.by == By::kPeer) return Error{"--by peer is for handles", 2};
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  Result<Patterns> patterns = Patterns::Make(options.patterns);
  if (!patterns) return std::move(patterns.error());
  return Rows(loaded, options, std::move(*filter), std::move(*patterns)).Make();
}

int GrowthTier(const std::string& verdict) {
  if (verdict == "leaking" || verdict == "onset") return 0;
  return verdict == "bounded" || verdict == "startup" || verdict == "aging-out" ? 2 : 1;
}

SiteRow SumOfSites(const Snapshot& snapshot) {
  SiteRow sum;
  for (const Site& site : snapshot.sites) AddTo(sum, site);
  return sum;
}

}  // namespace leakhunt::viewer
