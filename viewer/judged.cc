#include "viewer/judged.h"

#include <algorithm>
#include <ostream>
#include <unordered_map>

#include "collector/base/clean_text.h"
#include "collector/verdict/history.h"

namespace leakhunt::viewer {
namespace {

using snapshot::Snapshot;
using verdict::SiteVerdict;
using verdict::Verdict;

constexpr size_t kMostPoints = 240;

SiteKey KeyOf(const verdict::SiteId& id) { return {id.content_hash, id.kind}; }
static_assert(kHandleKey == verdict::kHandleSite);

struct OneProcess {
  verdict::HistoryBuilder builder;
  std::vector<snapshot::VitalsPoint> vitals;

  void Add(const Snapshot& s) {
    builder.Add(s);
    vitals.insert(vitals.end(), s.vitals.begin(), s.vitals.end());
  }
};

OneProcess Read(const ChosenSnapshot& chosen, size_t at_most, std::ostream& err) {
  OneProcess one;
  size_t before = chosen.recording.files.size() - 1;
  size_t take = std::min(before, at_most - 1);
  for (size_t i = 0; i < take; ++i) {
    Result<Snapshot> read = snapshot::ReadSnapshot(chosen.recording.files[i * before / take]);
    if (read) {
      one.Add(*read);
    } else {
      err << MessageLine("leakhunt-report", read.error().message);
    }
  }
  one.Add(chosen.snapshot);
  auto by_time = [](const auto& a, const auto& b) { return a.time_ms < b.time_ms; };
  std::stable_sort(one.vitals.begin(), one.vitals.end(), by_time);
  auto same = [](const auto& a, const auto& b) { return a.time_ms == b.time_ms; };
  one.vitals.erase(std::unique(one.vitals.begin(), one.vitals.end(), same), one.vitals.end());
  return one;
}

std::vector<std::pair<int64_t, double>> PointsOf(const verdict::History& history) {
  std::vector<std::pair<int64_t, double>> points;
  size_t n = history.points.size(), most = std::min(n, kMostPoints);
  for (size_t i = 0; i < most; ++i) {
    const auto& point = history.points[most > 1 ? i * (n - 1) / (most - 1) : n - 1];
    points.emplace_back(point.time_ms, point.live);
  }
  return points;
}

void Add(const snapshot::Estimate& from, snapshot::Estimate& into) {
  into.value += from.value;
  into.low += from.low;
  into.high += from.high;
}

int64_t Earlier(int64_t a, int64_t b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

class Judging {
 public:
  Judging(const Loaded& loaded, size_t at_most, std::ostream& err) : loaded_(loaded), at_most_(at_most), err_(err) {}

  Judged Run() {
    TakeSites();
    for (const ChosenSnapshot& chosen : loaded_.chosen) AddProcess(chosen);
    return std::move(out_);
  }

 private:
  JudgedSite& SiteOf(SiteKey key) {
    auto [at, added] = index_.try_emplace(key, out_.sites.size());
    if (added) {
      out_.sites.emplace_back();
      out_.sites.back().key = key;
    }
    return out_.sites[at->second];
  }

  void TakeSites() {
    const Snapshot& s = *loaded_.snapshot;
    for (const snapshot::Site& from : s.sites) {
      JudgedSite& site = SiteOf(viewer::KeyOf(s, from));
      site.type = snapshot::SiteKindName(from.kind);
      site.stack = from.stack;
      if (site.scope.empty()) site.scope = s.scopes.empty() ? "" : s.scopes[from.scope];
      site.live += from.live_bytes;
      site.live_count += from.live_count;
      site.reserved_bytes += from.reserved_bytes;
      site.total_bytes += from.total_bytes;
      site.total_count += from.total_count;
      Date(from.first_seen_ms, from.last_seen_ms, from.oldest_birth_ms, site);
    }
    for (const snapshot::HandleSite& from : s.handle_sites) {
      JudgedSite& site = SiteOf(viewer::KeyOf(s, from));
      site.handles = true;
      site.type = snapshot::HandleTypeName(from.type);
      site.stack = from.stack;
      site.live.value += static_cast<double>(from.open);
      site.opened += from.opened;
      site.closed += from.closed;
      Date(from.first_seen_ms, from.last_seen_ms, from.oldest_birth_ms, site);
    }
  }

  static void Date(int64_t first_ms, int64_t last_ms, int64_t oldest_ms, JudgedSite& site) {
    site.first_seen_ms = Earlier(site.first_seen_ms, first_ms);
    site.last_seen_ms = std::max(site.last_seen_ms, last_ms);
    site.oldest_birth_ms = Earlier(site.oldest_birth_ms, oldest_ms);
  }

  void AddProcess(const ChosenSnapshot& chosen) {
    OneProcess one = Read(chosen, at_most_, err_);
    verdict::HistoryBuilder::Histories all = one.builder.Build();
    std::vector<SiteVerdict> verdicts = verdict::Judge(all.sites);
    std::vector<verdict::JudgedSite> judged;
    for (size_t i = 0; i < verdicts.size(); ++i) {
      bool handles = all.sites[i].handles;
      auto kind = handles ? snapshot::SiteKind::kHeap : static_cast<snapshot::SiteKind>(all.ids[i].kind);
      judged.push_back({handles, kind, verdicts[i]});
      auto at = index_.find(KeyOf(all.ids[i]));
      if (at != index_.end()) Merge(verdicts[i], all.sites[i], out_.sites[at->second]);
    }
    out_.processes.push_back({chosen.snapshot.process,
                              verdict::JudgeProcess(one.vitals, chosen.snapshot.limits, judged)});
  }

  static void Merge(const SiteVerdict& verdict, const verdict::History& history, JudgedSite& site) {
    bool first = site.points.empty();
    snapshot::Estimate rate = site.verdict.rate_per_s, active = site.verdict.rate_while_active;
    if (first || Concern(verdict.verdict) < Concern(site.verdict.verdict)) {
      site.verdict = verdict;
      site.points = PointsOf(history);
      if (!first) Add(rate, site.verdict.rate_per_s), Add(active, site.verdict.rate_while_active);
    } else {
      Add(verdict.rate_per_s, site.verdict.rate_per_s);
      Add(verdict.rate_while_active, site.verdict.rate_while_active);
    }
  }

  const Loaded& loaded_;
  size_t at_most_;
  std::ostream& err_;
  std::unordered_map<SiteKey, size_t> index_;
  Judged out_;
};

}  // namespace

int Concern(Verdict verdict) {
  switch (verdict) {
    case Verdict::kLeaking: return 0;
    case Verdict::kOnset: return 1;
    case Verdict::kGrowingUnproven: return 2;
    case Verdict::kAgingOut: return 3;
    case Verdict::kDecelerating: return 4;
    case Verdict::kInconclusive: return 5;
    case Verdict::kStartup: return 6;
    case Verdict::kBounded: return 7;
  }
  return 8;
}

std::string WorseOf(const std::string& a, const std::string& b) {
  auto concern = [](const std::string& name) {
    for (int v = 0; v <= static_cast<int>(Verdict::kInconclusive); ++v) {
      auto verdict = static_cast<Verdict>(v);
      if (verdict != Verdict::kInconclusive && name == verdict::VerdictName(verdict)) return Concern(verdict);
    }
    return 9;
  };
  return concern(b) < concern(a) ? b : a;
}

bool MoreSerious(const JudgedSite& a, const JudgedSite& b) {
  int x = Concern(a.verdict.verdict), y = Concern(b.verdict.verdict);
  if (x != y) return x < y;
  double of_a = a.verdict.rate_while_active.value, of_b = b.verdict.rate_while_active.value;
  if (x <= 2 && of_a != of_b && a.handles == b.handles) {
    return of_a > of_b;
  }
  if (a.handles != b.handles) return b.handles;
  return a.live.value > b.live.value;
}

Judged JudgeRecordings(const Loaded& loaded, size_t at_most, std::ostream& err) {
  return Judging(loaded, at_most, err).Run();
}

VerdictNames NamesOf(const Judged& judged) {
  VerdictNames names;
  for (const JudgedSite& site : judged.sites) names[site.key] = verdict::VerdictName(site.verdict.verdict);
  return names;
}

}  // namespace leakhunt::viewer
