#include "collector/verdict/history.h"

#include <algorithm>

#include "collector/snapshot/process_flags.h"
#include "collector/verdict/consistency.h"

namespace leakhunt::verdict {

namespace {

constexpr size_t kMostEarlierSets = 24;
constexpr size_t kEnoughSnapshots = 8;   // from here on an exit snapshot is not needed
constexpr double kTornDown = 0.9;        // live bytes at exit, of those before it
constexpr int64_t kHandleCohorts = 64;
constexpr int64_t kTickMs = 10;

double ActivityOf(const snapshot::Snapshot& snapshot) {
  double done = 0;
  if (!snapshot.activity.empty()) done = static_cast<double>(snapshot.activity.back().allocated_bytes);
  for (const auto& vitals : snapshot.vitals) done = std::max(done, static_cast<double>(vitals.allocated_bytes));
  return done;
}

double LiveBytes(const snapshot::Snapshot& snapshot) {
  double sum = 0;
  for (const auto& site : snapshot.sites) sum += site.live_bytes.value;
  return sum;
}

// Rows of one site (scopes, what a fork inherited) share their cohort edges.
void MergeCohorts(const std::vector<snapshot::Cohort>& from, std::vector<snapshot::Cohort>& into) {
  if (into.empty()) {
    into = from;
    return;
  }
  for (const auto& cohort : from) {
    auto at = std::lower_bound(into.begin(), into.end(), cohort.from_ms,
                               [](const snapshot::Cohort& c, int64_t ms) { return c.from_ms < ms; });
    if (at != into.end() && at->from_ms == cohort.from_ms) {
      at->samples += cohort.samples;
      at->live_bytes += cohort.live_bytes;
      at->live_count += cohort.live_count;
    } else {
      into.insert(at, cohort);
    }
  }
}

// Births of the open handles as cohorts on the edges the ledger uses: 2^k ticks since the start, at most 64 of them.
std::vector<snapshot::Cohort> CohortsOf(const snapshot::HandleSite& site, int64_t started_ms, int64_t now_ms) {
  std::vector<snapshot::Cohort> cohorts;
  if (site.births_ms.empty()) return cohorts;
  int64_t width = kTickMs;
  while ((now_ms - started_ms) / width >= kHandleCohorts) width *= 2;
  double each = static_cast<double>(site.open) / static_cast<double>(site.births_ms.size());
  double counted = 0;
  for (int64_t birth_ms : site.births_ms) {
    int64_t from_ms = started_ms + std::max<int64_t>(0, birth_ms - started_ms) / width * width;
    if (cohorts.empty() || cohorts.back().from_ms != from_ms) cohorts.push_back({from_ms, from_ms + width, 0, 0, 0});
    cohorts.back().live_count += each;
  }
  for (auto& cohort : cohorts) {  // whole handles, none lost to rounding
    double until = counted + cohort.live_count;
    cohort.samples = static_cast<uint64_t>(until + 0.5) - static_cast<uint64_t>(counted + 0.5);
    counted = until;
  }
  return cohorts;
}

}  // namespace

SiteId IdOf(const snapshot::Snapshot& snapshot, const snapshot::Site& site) {
  return {snapshot.stacks[site.stack].content_hash, static_cast<uint8_t>(site.kind)};
}

SiteId IdOf(const snapshot::Snapshot& snapshot, const snapshot::HandleSite& site) {
  return {snapshot.stacks[site.stack].content_hash, static_cast<uint8_t>(kHandleSite + static_cast<uint8_t>(site.type))};
}

bool HistoryBuilder::TearingDown(const snapshot::Snapshot& snapshot) const {
  if (snapshot.reason != "exit" || times_ms_.empty()) return false;
  return times_ms_.size() >= kEnoughSnapshots || LiveBytes(snapshot) < kTornDown * live_bytes_;
}

HistoryBuilder::Track& HistoryBuilder::TrackOf(SiteId id) {
  auto [at, added] = index_.try_emplace(id, tracks_.size());
  if (added) {
    ids_.push_back(id);
    tracks_.emplace_back();
    tracks_.back().first = times_ms_.size() - 1;
    tracks_.back().history.handles = id.kind >= kHandleSite;
  }
  return tracks_[at->second];
}

// The point of the snapshot being added. A site missing from snapshots in between held nothing then.
HistoryPoint& HistoryBuilder::PointOf(Track& track) {
  auto& points = track.history.points;
  while (track.first + points.size() < times_ms_.size()) {
    HistoryPoint point;
    if (!points.empty()) {
      point.born_count = points.back().born_count;
      point.freed_samples = points.back().freed_samples;
      point.lifetimes = points.back().lifetimes;
    }
    size_t at = track.first + points.size();
    point.time_ms = times_ms_[at];
    point.activity = activity_[at];
    points.push_back(point);
  }
  return points.back();
}

void HistoryBuilder::AddSite(const snapshot::Snapshot& snapshot, const snapshot::Site& site) {
  if (site.stack >= snapshot.stacks.size()) return;
  Track& track = TrackOf(IdOf(snapshot, site));
  HistoryPoint& point = PointOf(track);
  point.live += site.live_bytes.value;
  point.variance += site.live_bytes.variance;
  point.live_count += site.live_count.value;
  point.born_count = std::max(point.born_count, site.total_count.value);
  point.freed_samples = std::max(point.freed_samples, static_cast<double>(site.freed_samples));
  for (size_t b = 0; b < point.lifetimes.size(); ++b) {
    point.lifetimes[b] = std::max(point.lifetimes[b], site.lifetimes[b]);
  }
  MergeCohorts(site.cohorts, track.history.cohorts);
}

void HistoryBuilder::AddHandles(const snapshot::Snapshot& snapshot, const snapshot::HandleSite& site) {
  if (site.stack >= snapshot.stacks.size()) return;
  Track& track = TrackOf(IdOf(snapshot, site));
  HistoryPoint& point = PointOf(track);
  point.live += static_cast<double>(site.open);
  point.live_count = point.live;
  point.born_count = std::max(point.born_count, static_cast<double>(site.opened));
  point.freed_samples = std::max(point.freed_samples, static_cast<double>(site.closed));
  MergeCohorts(CohortsOf(site, started_ms_, snapshot.time_ms), track.history.cohorts);
}

// Cohorts of the snapshot before the one being added become an earlier set, of every so many snapshots.
void HistoryBuilder::KeepCohorts() {
  size_t number = times_ms_.size() - 1;
  if (number / keep_every_ > kMostEarlierSets) {
    keep_every_ *= 2;
    for (Track& track : tracks_) {
      std::erase_if(track.history.earlier, [this](const CohortSet& set) {
        auto at = std::lower_bound(times_ms_.begin(), times_ms_.end(), set.time_ms) - times_ms_.begin();
        return static_cast<size_t>(at) % keep_every_ != 0;
      });
    }
  }
  for (Track& track : tracks_) {
    if (number % keep_every_ == 0) track.history.earlier.push_back({times_ms_[number], std::move(track.history.cohorts)});
    track.history.cohorts.clear();
  }
}

void HistoryBuilder::Add(const snapshot::Snapshot& snapshot) {
  if (TearingDown(snapshot)) return;
  bool again = !times_ms_.empty() && snapshot.time_ms <= times_ms_.back();
  if (again) {
    for (Track& track : tracks_) {
      track.history.cohorts.clear();
      HistoryPoint& point = PointOf(track);
      point.live = point.variance = point.live_count = 0;
    }
  } else {
    if (!times_ms_.empty()) KeepCohorts();
    times_ms_.push_back(snapshot.time_ms);
    activity_.push_back(ActivityOf(snapshot));
  }
  started_ms_ = snapshot.process.started_ms;
  exact_ = snapshot.sampling.exact;
  if (const auto more = FindMoreThanMemory(snapshot); more && more->frees_unseen) beyond_memory_ = true;
  own_malloc_ = (snapshot.process.flags & snapshot::kOwnMalloc) != 0;
  live_bytes_ = LiveBytes(snapshot);
  if (!snapshot.activity.empty()) clock_ = snapshot.activity;
  for (const auto& site : snapshot.sites) AddSite(snapshot, site);
  for (const auto& site : snapshot.handle_sites) AddHandles(snapshot, site);
  for (Track& track : tracks_) PointOf(track);
}

HistoryBuilder::Histories HistoryBuilder::Build() const {
  Histories out;
  out.ids = ids_;
  out.sites.reserve(tracks_.size());
  for (const Track& track : tracks_) {
    History history;
    history.points.reserve(times_ms_.size());
    for (size_t i = 0; i < track.first; ++i) {
      history.points.emplace_back();
      history.points.back().time_ms = times_ms_[i];
      history.points.back().activity = activity_[i];
    }
    history.points.insert(history.points.end(), track.history.points.begin(), track.history.points.end());
    history.cohorts = track.history.cohorts;
    history.earlier = track.history.earlier;
    history.handles = track.history.handles;
    history.activity = clock_;
    history.process_started_ms = started_ms_;
    history.exact = exact_;
    const bool heap = out.ids[out.sites.size()].kind == static_cast<uint8_t>(snapshot::SiteKind::kHeap);
    history.frees_unseen = own_malloc_ && heap;
    history.beyond_memory = beyond_memory_ && heap;
    out.sites.push_back(std::move(history));
  }
  return out;
}

}  // namespace leakhunt::verdict
