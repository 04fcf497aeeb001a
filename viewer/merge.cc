#include "viewer/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "collector/snapshot/coalesce.h"

namespace leakhunt::viewer {
namespace {

using namespace snapshot;  // NOLINT(google-build-using-namespace): the whole model is walked

class Sum {
 public:
  explicit Sum(const Snapshot& first) {
    whole_.number = first.number;
    whole_.time_ms = first.time_ms;
    whole_.reason = first.reason;
    whole_.label = first.label;
    whole_.process = first.process;
    whole_.sampling = first.sampling;
    whole_.limits = first.limits;
    whole_.mapping_bytes = first.mapping_bytes;
    whole_.scopes = {""};
    whole_.stacks = {Stack{}};
  }

  void Add(const Snapshot& part) {
    whole_.time_ms = std::max(whole_.time_ms, part.time_ms);
    whole_.sampling.exact = whole_.sampling.exact && part.sampling.exact;
    if (part.mapping_bytes != MappingBytes::kInMemory) whole_.mapping_bytes = part.mapping_bytes;
    AddLosses(part.losses);
    MapCode(part);
    for (const Site& site : part.sites) AddSite(part, site);
    AddHandles(part);
    AddThreads(part);
  }

  Snapshot Take() { return std::move(whole_); }

 private:
  void AddLosses(const Losses& l) {
    Losses& sum = whole_.losses;
    sum.records += l.records;
    sum.bytes += l.bytes;
    sum.truncated_stacks += l.truncated_stacks;
    sum.unknown_stacks += l.unknown_stacks;
    sum.stale_records += l.stale_records;
    sum.invalid_records += l.invalid_records;
    sum.slow_visits += l.slow_visits;
    sum.fallback_walks += l.fallback_walks;
    sum.gaps.insert(sum.gaps.end(), l.gaps.begin(), l.gaps.end());
  }

  // Fills stack_of_ and scope_of_: indices of the part -> indices of the sum. Equal stacks are one.
  void MapCode(const Snapshot& part) {
    auto module_base = static_cast<uint32_t>(whole_.modules.size());
    auto frame_base = static_cast<uint32_t>(whole_.frames.size());
    whole_.modules.insert(whole_.modules.end(), part.modules.begin(), part.modules.end());
    for (Frame frame : part.frames) {
      if (frame.module != kNoModule) frame.module += module_base;
      whole_.frames.push_back(frame);
    }
    stack_of_.assign(part.stacks.size(), 0);
    for (size_t i = 0; i < part.stacks.size(); ++i) {
      if (part.stacks[i].frames.empty()) continue;
      auto [at, fresh] = stacks_.try_emplace(part.stacks[i].content_hash, whole_.stacks.size());
      if (fresh) {
        Stack stack = part.stacks[i];
        for (uint32_t& frame : stack.frames) frame += frame_base;
        whole_.stacks.push_back(std::move(stack));
      }
      stack_of_[i] = static_cast<uint32_t>(at->second);
    }
    scope_of_.clear();
    for (const std::string& name : part.scopes) {
      auto at = std::find(whole_.scopes.begin(), whole_.scopes.end(), name);
      scope_of_.push_back(static_cast<uint32_t>(at - whole_.scopes.begin()));
      if (at == whole_.scopes.end()) whole_.scopes.push_back(name);
    }
    thread_base_ = static_cast<uint32_t>(whole_.threads.size());
  }

  void AddSite(const Snapshot& part, const Site& site) {
    auto key = std::tuple(stack_of_[site.stack], static_cast<int>(site.kind), scope_of_[site.scope], site.inherited);
    auto [at, fresh] = sites_.try_emplace(key, whole_.sites.size());
    if (fresh) {
      whole_.sites.push_back(site);
      Site& copy = whole_.sites.back();
      copy.stack = stack_of_[site.stack];
      copy.scope = scope_of_[site.scope];
      for (ThreadShare& share : copy.threads) share.thread += thread_base_;
      return;
    }
    Site& sum = whole_.sites[at->second];
    AddFigures(site, &sum);
    sum.cohorts.insert(sum.cohorts.end(), site.cohorts.begin(), site.cohorts.end());
    for (ThreadShare share : site.threads) {
      share.thread += thread_base_;
      sum.threads.push_back(share);
    }
  }

  void AddHandles(const Snapshot& part) {
    HandleTotals& t = whole_.handle_totals;
    t.open += part.handle_totals.open;
    t.untracked += part.handle_totals.untracked;
    t.inherited += part.handle_totals.inherited;
    t.vanished += part.handle_totals.vanished;
    t.limit = std::max(t.limit, part.handle_totals.limit);
    for (int i = 0; i < kHandleTypes; ++i) whole_.handles_by_type[i] += part.handles_by_type[i];
    whole_.untracked.insert(whole_.untracked.end(), part.untracked.begin(), part.untracked.end());
    for (HandleSite site : part.handle_sites) {
      site.stack = stack_of_[site.stack];
      for (ThreadShare& share : site.threads) share.thread += thread_base_;
      for (HandleExample& example : site.examples) example.thread += thread_base_;
      AddHandleSite(std::move(site));
    }
  }

  void AddHandleSite(HandleSite site) {
    auto [at, fresh] = handle_sites_.try_emplace({site.stack, static_cast<int>(site.type)}, whole_.handle_sites.size());
    if (fresh) {
      whole_.handle_sites.push_back(std::move(site));
      return;
    }
    HandleSite& sum = whole_.handle_sites[at->second];
    sum.open += site.open;
    sum.opened += site.opened;
    sum.closed += site.closed;
    sum.peak += site.peak;
    sum.oldest_birth_ms = Earlier(sum.oldest_birth_ms, site.oldest_birth_ms);
    sum.first_seen_ms = Earlier(sum.first_seen_ms, site.first_seen_ms);
    sum.last_seen_ms = std::max(sum.last_seen_ms, site.last_seen_ms);
    sum.births_ms.insert(sum.births_ms.end(), site.births_ms.begin(), site.births_ms.end());
    std::sort(sum.births_ms.begin(), sum.births_ms.end());
    sum.examples.insert(sum.examples.end(), site.examples.begin(), site.examples.end());
    sum.threads.insert(sum.threads.end(), site.threads.begin(), site.threads.end());
  }

  void AddThreads(const Snapshot& part) {
    whole_.threads.insert(whole_.threads.end(), part.threads.begin(), part.threads.end());
  }

  Snapshot whole_;
  std::vector<uint32_t> stack_of_, scope_of_;
  uint32_t thread_base_ = 0;
  std::map<uint64_t, size_t> stacks_;
  std::map<std::tuple<uint32_t, int, uint32_t, bool>, size_t> sites_;
  std::map<std::pair<uint32_t, int>, size_t> handle_sites_;
};

}  // namespace

Snapshot MergeSnapshots(const std::vector<const Snapshot*>& parts) {
  Sum sum(*parts.front());
  for (const Snapshot* part : parts) sum.Add(*part);
  Snapshot whole = sum.Take();
  if (parts.size() > 1) whole.process.name += fmt::format(" and {} more", parts.size() - 1);
  return whole;
}

}  // namespace leakhunt::viewer
