#include "viewer/handle_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "viewer/judged.h"
#include "viewer/site_rows.h"
#include "viewer/categories.h"
#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

using snapshot::HandleExample;
using snapshot::HandleSite;
using snapshot::Snapshot;

void AddTo(HandleRow& row, const HandleSite& site) {
  std::string type = snapshot::HandleTypeName(site.type);
  row.type = row.type.empty() || row.type == type ? type : "several";
  if (site.open >= row.largest_part) {
    row.largest_part = site.open;
    row.stack = site.stack;
  }
  row.open += site.open;
  row.opened += site.opened;
  row.closed += site.closed;
  row.peak += site.peak;
  row.oldest_birth_ms = snapshot::Earlier(row.oldest_birth_ms, site.oldest_birth_ms);
  row.examples.insert(row.examples.end(), site.examples.begin(), site.examples.end());
}

// The site as if only handles born by `latest_ms` were open. `births_ms` may be thinned: then it is a share.
HandleSite OldOnes(const HandleSite& site, int64_t latest_ms) {
  HandleSite old = site;
  auto end = std::upper_bound(site.births_ms.begin(), site.births_ms.end(), latest_ms);
  double share = site.births_ms.empty() ? (site.oldest_birth_ms != 0 && site.oldest_birth_ms <= latest_ms ? 1.0 : 0.0)
                                        : static_cast<double>(end - site.births_ms.begin()) /
                                              static_cast<double>(site.births_ms.size());
  old.open = static_cast<uint64_t>(std::llround(share * static_cast<double>(site.open)));
  old.births_ms.assign(site.births_ms.begin(), end);
  if (old.open == 0) old.oldest_birth_ms = 0;
  std::erase_if(old.examples, [&](const HandleExample& e) { return e.birth_ms > latest_ms; });
  return old;
}

class Rows {
 public:
  Rows(Loaded& loaded, const Options& options, StackFilter filter, Patterns patterns)
      : loaded_(loaded),
        snapshot_(*loaded.snapshot),
        options_(options),
        filter_(std::move(filter)),
        patterns_(std::move(patterns)) {}

  std::vector<HandleRow> Make() {
    for (const HandleSite& whole : snapshot_.handle_sites) {
      HandleSite site = options_.min_age_ms > 0 ? OldOnes(whole, snapshot_.time_ms - options_.min_age_ms) : whole;
      if (options_.min_age_ms > 0 && site.open == 0) continue;
      const ResolvedStack& stack = loaded_.resolver->Stack(site.stack);
      if (!filter_.Matches(stack, Labels(site))) continue;
      Add(site, stack);
    }
    Sort();
    for (HandleRow& row : rows_) {
      std::stable_sort(row.examples.begin(), row.examples.end(),
                       [](const HandleExample& a, const HandleExample& b) { return a.birth_ms < b.birth_ms; });
    }
    return std::move(rows_);
  }

 private:
  static std::vector<std::string> Labels(const HandleSite& site) {
    std::vector<std::string> labels = {snapshot::HandleTypeName(site.type)};
    for (const HandleExample& example : site.examples) labels.push_back(example.label);
    return labels;
  }

  HandleRow& RowOf(const std::string& key, const std::string& group) {
    auto [at, fresh] = index_.try_emplace(key, rows_.size());
    if (fresh) rows_.emplace_back().group = group;
    return rows_[at->second];
  }

  void Add(const HandleSite& site, const ResolvedStack& stack) {
    if (options_.by == By::kPeer) return AddByPeer(site);
    if (options_.by == By::kThread) return AddByThread(site);
    std::string group = GroupOf(site, stack);
    std::string type = snapshot::HandleTypeName(site.type);
    HandleRow& row = RowOf(group.empty() ? std::to_string(site.stack) + "/" + type : group, group);
    AddTo(row, site);
    auto rate = loaded_.growth.find(KeyOf(snapshot_, site));
    if (rate != loaded_.growth.end()) row.growth = row.growth.value_or(0) + rate->second;
    auto judged = loaded_.verdicts.find(KeyOf(snapshot_, site));
    if (judged != loaded_.verdicts.end()) row.verdict = WorseOf(row.verdict, judged->second);
  }

  std::string GroupOf(const HandleSite& site, const ResolvedStack& stack) const {
    const ResolvedFrame* own = OwnFrame(stack);
    switch (options_.by) {
      case By::kFunction: return own == nullptr || own->function.empty() ? PlaceName(own) : own->function;
      case By::kFile: return own == nullptr || own->file.empty() ? "(no file known)" : own->file;
      case By::kModule: return own == nullptr || own->module.empty() ? "(no module)" : own->module;
      case By::kType: return snapshot::HandleTypeName(site.type);
      case By::kPattern: return patterns_.NameOf(stack);
      default: return "";
    }
  }

  // Peers are known of the examples only; they stand for the rest of the site's handles.
  void AddByPeer(const HandleSite& site) {
    std::map<std::string, double> parts;
    for (const HandleExample& example : site.examples) parts[PeerOf(example.label)] += 1;
    if (parts.empty()) parts[""] = 1;
    double all = static_cast<double>(std::max<size_t>(site.examples.size(), 1));
    for (const auto& [peer, count] : parts) {
      HandleSite part = site;
      part.open = static_cast<uint64_t>(std::llround(count / all * static_cast<double>(site.open)));
      part.opened = part.closed = part.peak = 0;
      std::erase_if(part.examples, [&, &name = peer](const HandleExample& e) { return PeerOf(e.label) != name; });
      if (!part.examples.empty()) part.oldest_birth_ms = part.examples.front().birth_ms;
      AddTo(RowOf(peer, peer.empty() ? "(no peer)" : peer), part);
    }
  }

  void AddByThread(const HandleSite& site) {
    double left = static_cast<double>(site.open);
    for (const snapshot::ThreadShare& share : site.threads) {
      const std::string& name = snapshot_.threads[share.thread].name;
      AddPart(site, name.empty() ? "(unnamed thread)" : name, std::min(left, share.live_count));
      left -= std::min(left, share.live_count);
    }
    if (left >= 0.5) AddPart(site, site.threads.empty() ? "(thread not known)" : "(other threads)", left);
  }

  void AddPart(const HandleSite& site, const std::string& group, double open) {
    HandleSite part = site;
    part.open = static_cast<uint64_t>(std::llround(open));
    part.opened = part.closed = part.peak = 0;
    AddTo(RowOf(group, group), part);
  }

  double Rank(const HandleRow& row) const {
    switch (options_.sort) {
      case Sort::kTotalBytes: return static_cast<double>(row.opened);
      case Sort::kGrowth: return row.growth.value_or(-std::numeric_limits<double>::infinity());
      case Sort::kAge: return row.oldest_birth_ms == 0 ? -1e300 : -static_cast<double>(row.oldest_birth_ms);
      default: return static_cast<double>(row.open);
    }
  }

  void Sort() {
    std::stable_sort(rows_.begin(), rows_.end(), [this](const HandleRow& a, const HandleRow& b) {
      int tier_a = options_.sort == Sort::kGrowth ? GrowthTier(a.verdict) : 0;
      int tier_b = options_.sort == Sort::kGrowth ? GrowthTier(b.verdict) : 0;
      if (tier_a != tier_b) return tier_a < tier_b;
      double x = Rank(a), y = Rank(b);
      if (x != y) return x > y;
      return a.open != b.open ? a.open > b.open : a.opened > b.opened;
    });
  }

  Loaded& loaded_;
  const Snapshot& snapshot_;
  const Options& options_;
  StackFilter filter_;
  Patterns patterns_;
  std::vector<HandleRow> rows_;
  std::map<std::string, size_t> index_;
};

}  // namespace

std::string PeerOf(const std::string& label) {
  size_t arrow = label.find("-> ");
  if (arrow == std::string::npos) return "";
  std::string peer = label.substr(arrow + 3);
  peer = peer.substr(0, peer.find(' '));
  if (peer.starts_with('/') || peer.starts_with('@')) return peer;
  size_t port = peer.rfind(':');
  return port == std::string::npos ? peer : peer.substr(0, port);
}

std::vector<std::pair<std::string, uint64_t>> OpenByType(const Snapshot& s) {
  std::array<uint64_t, snapshot::kHandleTypes> counts = s.handles_by_type;
  if (std::all_of(counts.begin(), counts.end(), [](uint64_t n) { return n == 0; })) {
    for (const HandleSite& site : s.handle_sites) counts[static_cast<size_t>(site.type)] += site.open;
    for (const auto& handle : s.untracked) ++counts[static_cast<size_t>(handle.type)];
  }
  std::vector<std::pair<std::string, uint64_t>> types;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) types.emplace_back(snapshot::HandleTypeName(static_cast<snapshot::HandleType>(i)), counts[i]);
  }
  std::stable_sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return types;
}

uint64_t HandleLimit(const Snapshot& s) {
  return s.handle_totals.limit != 0 ? s.handle_totals.limit : s.limits.open_handles;
}

std::optional<double> SecondsToHandleLimit(const Loaded& loaded) {
  const Snapshot& s = *loaded.snapshot;
  double growth = 0;
  for (const HandleSite& site : s.handle_sites) {
    auto rate = loaded.growth.find(KeyOf(s, site));
    if (rate != loaded.growth.end()) growth += rate->second;
  }
  double used = static_cast<double>(s.handle_totals.open + s.handle_totals.untracked + s.handle_totals.inherited);
  double left = static_cast<double>(HandleLimit(s)) - used;
  if (HandleLimit(s) == 0 || growth <= 0 || left < 0) return std::nullopt;
  return left / growth;
}

Result<std::vector<HandleRow>> HandleRows(Loaded& loaded, const Options& options) {
  if (options.by == By::kScope) return Error{"--by scope is for memory", 2};
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  Result<Patterns> patterns = Patterns::Make(options.patterns);
  if (!patterns) return std::move(patterns.error());
  return Rows(loaded, options, std::move(*filter), std::move(*patterns)).Make();
}

}  // namespace leakhunt::viewer
