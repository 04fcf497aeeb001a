#include "collector/verdict/verdict.h"

#include "collector/verdict/busy_span.h"
#include "collector/verdict/classify.h"
#include "collector/verdict/discovery.h"

namespace leakhunt::verdict {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kLeaking: return "leaking";
    case Verdict::kOnset: return "onset";
    case Verdict::kGrowingUnproven: return "growing-unproven";
    case Verdict::kDecelerating: return "decelerating";
    case Verdict::kAgingOut: return "aging-out";
    case Verdict::kStartup: return "startup";
    case Verdict::kBounded: return "bounded";
    case Verdict::kInconclusive: return "inconclusive";
  }
  return "inconclusive";
}

namespace {

bool IsLeak(Verdict verdict) { return verdict == Verdict::kLeaking || verdict == Verdict::kOnset; }

// What can be said where deaths may go unseen: that a site grows.
void WithholdLeak(SiteVerdict& verdict) {
  if (!IsLeak(verdict.verdict)) return;
  verdict.verdict = Verdict::kGrowingUnproven;
  verdict.needs = "the program's own malloc may free these blocks unseen: link it as a shared library to know";
}

// Where deaths do go unseen not even the growth is known.
void WithholdGrowth(SiteVerdict& verdict) {
  const Verdict was = verdict.verdict;
  if (!IsLeak(was) && was != Verdict::kGrowingUnproven) return;
  verdict.verdict = Verdict::kInconclusive;
  verdict.needs = "more is said to live than the process has in memory, so blocks are freed unseen: call free by its name to know";
}

std::vector<SiteVerdict> JudgeSpan(const std::vector<History>& sites, const Thresholds& thresholds) {
  std::vector<Analysis> analyses;
  analyses.reserve(sites.size());
  std::vector<double> p;  // of the sites with enough blocks for any verdict: the others are no hypotheses
  std::vector<size_t> tested;
  for (const History& site : sites) {
    analyses.push_back(Analyze(site, thresholds));
    if (analyses.back().samples < thresholds.min_survivors) continue;
    tested.push_back(analyses.size() - 1);
    p.push_back(analyses.back().p);
  }
  std::vector<double> found = QValues(p), q(sites.size(), 1);
  for (size_t i = 0; i < sites.size(); ++i) q[i] = analyses[i].p;
  for (size_t i = 0; i < tested.size(); ++i) q[tested[i]] = found[i];
  std::vector<SiteVerdict> verdicts;
  verdicts.reserve(sites.size());
  for (size_t i = 0; i < sites.size(); ++i) {
    verdicts.push_back(Classify(sites[i], analyses[i], q[i], thresholds));
    if (sites[i].frees_unseen) WithholdLeak(verdicts.back());
    if (sites[i].beyond_memory) WithholdGrowth(verdicts.back());
    verdicts.back().rate_while_active = verdicts.back().rate_per_s;
  }
  return verdicts;
}

// What was proven while the process worked stands while it is idle, until its blocks are freed.
void KeepProven(const std::vector<History>& sites, const Thresholds& thresholds, std::vector<SiteVerdict>& verdicts) {
  std::vector<History> busy;
  std::vector<size_t> which;
  for (size_t i = 0; i < sites.size(); ++i) {
    int64_t until_ms = BusyUntil(sites[i], thresholds);
    if (until_ms == 0) continue;
    busy.push_back(UpTo(sites[i], until_ms));
    which.push_back(i);
  }
  std::vector<SiteVerdict> then = JudgeSpan(busy, thresholds);
  for (size_t k = 0; k < then.size(); ++k) {
    if (!IsLeak(then[k].verdict)) continue;
    SiteVerdict& verdict = verdicts[which[k]] = then[k];
    verdict.active_until_ms = busy[k].points.back().time_ms;
    verdict.rate_per_s = RateSince(sites[which[k]], verdict.active_until_ms);
  }
}

}  // namespace

std::vector<SiteVerdict> Judge(const std::vector<History>& sites) { return Judge(sites, Thresholds{}); }

std::vector<SiteVerdict> Judge(const std::vector<History>& sites, const Thresholds& thresholds) {
  std::vector<SiteVerdict> verdicts = JudgeSpan(sites, thresholds);
  KeepProven(sites, thresholds, verdicts);
  return verdicts;
}

}  // namespace leakhunt::verdict
