// From a recording's snapshots to one history a site: heap, mapping and thread sites, and handle sites.
//
// Snapshots are added one by one in time order and may be dropped after: the builder keeps figures only, and of the
// cohorts at most two dozen earlier sets a site. One recording (one process image) a builder; single thread.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

// The same call site in other snapshots: by content of the stack and kind. Scopes of one stack are one site.
struct SiteId {
  uint64_t content_hash = 0;
  uint8_t kind = 0;  // SiteKind, or kHandleSite + HandleType

  auto operator<=>(const SiteId&) const = default;
};
inline constexpr uint8_t kHandleSite = 64;

struct SiteIdHash {
  size_t operator()(const SiteId& id) const noexcept { return static_cast<size_t>(id.content_hash * 31 + id.kind); }
};

SiteId IdOf(const snapshot::Snapshot& snapshot, const snapshot::Site& site);
SiteId IdOf(const snapshot::Snapshot& snapshot, const snapshot::HandleSite& site);

class HistoryBuilder {
 public:
  // A snapshot not later than the one before it replaces that one's figures. Of an exiting process the last snapshot
  // is left out when the program was already tearing itself down: what is freed on the way out says nothing about leaks.
  void Add(const snapshot::Snapshot& snapshot);

  size_t snapshots() const { return times_ms_.size(); }

  struct Histories {
    std::vector<SiteId> ids;  // in order of first appearance
    std::vector<History> sites;
  };
  Histories Build() const;

 private:
  struct Track {
    History history;
    size_t first = 0;  // snapshots before the site was first seen
  };
  Track& TrackOf(SiteId id);
  void AddSite(const snapshot::Snapshot& snapshot, const snapshot::Site& site);
  void AddHandles(const snapshot::Snapshot& snapshot, const snapshot::HandleSite& site);
  HistoryPoint& PointOf(Track& track);
  void KeepCohorts();
  bool TearingDown(const snapshot::Snapshot& snapshot) const;

  std::unordered_map<SiteId, size_t, SiteIdHash> index_;
  std::vector<SiteId> ids_;
  std::vector<Track> tracks_;
  std::vector<int64_t> times_ms_;
  std::vector<double> activity_;
  std::vector<snapshot::ActivityPoint> clock_;
  int64_t started_ms_ = 0;
  bool exact_ = true;
  bool own_malloc_ = false;
  bool beyond_memory_ = false;     // once a snapshot was (consistency.h)
  double live_bytes_ = 0;          // of the snapshot before
  size_t keep_every_ = 1;          // of the snapshots, one's cohorts are kept
};

}  // namespace leakhunt::verdict
