#include "collector/snapshot/coalesce.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

namespace leakhunt::snapshot {

namespace {

constexpr size_t kThreadsKept = 8;

// Rows of one snapshot share their cohort edges.
void AddCohorts(const std::vector<Cohort>& from, std::vector<Cohort>* into) {
  for (const Cohort& cohort : from) {
    const auto at = std::lower_bound(into->begin(), into->end(), cohort.from_ms,
                                     [](const Cohort& c, int64_t ms) { return c.from_ms < ms; });
    if (at == into->end() || at->from_ms != cohort.from_ms) {
      into->insert(at, cohort);
      continue;
    }
    at->samples += cohort.samples;
    at->live_bytes += cohort.live_bytes;
    at->live_count += cohort.live_count;
  }
}

void AddThreads(const std::vector<ThreadShare>& from, std::vector<ThreadShare>* into) {
  for (const ThreadShare& share : from) {
    const auto same = std::find_if(into->begin(), into->end(), [&](const ThreadShare& t) { return t.thread == share.thread; });
    if (same == into->end()) {
      into->push_back(share);
      continue;
    }
    same->live_bytes += share.live_bytes;
    same->live_count += share.live_count;
  }
  std::stable_sort(into->begin(), into->end(), [](const ThreadShare& a, const ThreadShare& b) {
    return std::tie(a.live_bytes, a.live_count) > std::tie(b.live_bytes, b.live_count);
  });
  if (into->size() > kThreadsKept) into->resize(kThreadsKept);
}

// By place: the first stack of the same content. Sorted, not hashed: the contents' hashes are a stranger's numbers.
std::vector<uint32_t> FirstOfSameContent(const std::vector<Stack>& stacks) {
  std::vector<uint32_t> first(stacks.size());
  std::iota(first.begin(), first.end(), 0u);
  std::vector<std::pair<uint64_t, uint32_t>> contents;
  for (uint32_t i = 0; i < stacks.size(); ++i) {
    if (stacks[i].content_hash != 0) contents.emplace_back(stacks[i].content_hash, i);
  }
  std::sort(contents.begin(), contents.end());
  for (size_t k = 1; k < contents.size(); ++k) {
    if (contents[k].first == contents[k - 1].first) first[contents[k].second] = first[contents[k - 1].second];
  }
  return first;
}

// Drops repeated stacks; the new place of each of the old ones, or nothing when none was repeated.
std::vector<uint32_t> DropRepeats(std::vector<Stack>* stacks) {
  std::vector<uint32_t> place = FirstOfSameContent(*stacks);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < place.size(); ++i) {
    if (place[i] != i) {
      place[i] = place[place[i]];  // of an earlier one: known by now
      continue;
    }
    place[i] = kept;
    if (kept != i) (*stacks)[kept] = std::move((*stacks)[i]);
    ++kept;
  }
  if (kept == stacks->size()) return {};
  stacks->resize(kept);
  return place;
}

}  // namespace

void AddFigures(const Site& from, Site* into) {
  into->live_bytes += from.live_bytes;
  into->live_count += from.live_count;
  into->reserved_bytes += from.reserved_bytes;
  into->total_bytes += from.total_bytes;
  into->total_count += from.total_count;
  into->freed_bytes += from.freed_bytes;
  into->freed_samples += from.freed_samples;
  into->first_seen_ms = Earlier(into->first_seen_ms, from.first_seen_ms);
  into->last_seen_ms = std::max(into->last_seen_ms, from.last_seen_ms);
  into->oldest_birth_ms = Earlier(into->oldest_birth_ms, from.oldest_birth_ms);
  for (int b = 0; b < kLifetimeBuckets; ++b) into->lifetimes[b] += from.lifetimes[b];
}

void Coalesce(Snapshot* snapshot) {
  const std::vector<uint32_t> place = DropRepeats(&snapshot->stacks);
  if (place.empty()) return;
  for (HandleSite& site : snapshot->handle_sites) site.stack = place[site.stack];
  std::map<std::tuple<uint32_t, SiteKind, uint32_t, bool>, size_t> rows;
  std::vector<Site> sites;
  for (Site& site : snapshot->sites) {
    site.stack = place[site.stack];
    const auto [at, fresh] = rows.try_emplace({site.stack, site.kind, site.scope, site.inherited}, sites.size());
    if (fresh) {
      sites.push_back(std::move(site));
      continue;
    }
    Site& sum = sites[at->second];
    AddFigures(site, &sum);
    AddCohorts(site.cohorts, &sum.cohorts);
    AddThreads(site.threads, &sum.threads);
  }
  snapshot->sites = std::move(sites);
}

}  // namespace leakhunt::snapshot
