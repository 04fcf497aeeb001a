#include "viewer/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "collector/verdict/phrase.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

using verdict::PerTime;
using verdict::Verdict;

constexpr double kHourS = 3600, kDayS = 86'400;
constexpr double kFastBytesPerS = 1024.0 * 1024 / 60;
constexpr double kLargeShare = 0.25;
constexpr double kSameRate = 0.05;    // relative difference of the rates of sites that leak together, blocks a second
constexpr double kTogether = 0.9;     // correlation of their growth from snapshot to snapshot
constexpr size_t kEnoughPoints = 8;

bool Proven(const JudgedSite& site) {
  return site.verdict.verdict == Verdict::kLeaking || site.verdict.verdict == Verdict::kOnset;
}

const char* NounOf(const JudgedSite& site) {
  if (site.handles) return "handles";
  if (site.type == "mmap") return "mappings";
  return site.type == "thread" ? "threads" : "memory";
}

std::string PlaceOf(const JudgedSite& site, Loaded& loaded) {
  return Printable(PlaceName(BlamedFrame(loaded.resolver->Stack(site.stack))));
}

// zmalloc, xrealloc, g_malloc0, my_strdup, …: says nothing of who wanted the memory.
bool IsWrapper(const ResolvedFrame& frame) {
  const std::string name = frame.function.substr(0, frame.function.find('('));
  return name.find("alloc") != std::string::npos || name.find("strdup") != std::string::npos;
}

std::vector<double> StepsOf(const JudgedSite& site) {
  std::vector<double> steps;
  for (size_t i = 1; i < site.points.size(); ++i) steps.push_back(site.points[i].second - site.points[i - 1].second);
  return steps;
}

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  size_t n = std::min(a.size(), b.size());
  double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < n; ++i) mean_a += a[i] / static_cast<double>(n), mean_b += b[i] / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

// Blocks (or handles) a second.
double UnitsPerS(const JudgedSite& site) {
  if (site.handles || site.live.value <= 0) return site.verdict.rate_while_active.value;
  return site.verdict.rate_while_active.value * site.live_count.value / site.live.value;
}

// One for one, and in the same snapshots: what leaks the one leaks the other.
bool LeakTogether(const JudgedSite& a, const JudgedSite& b) {
  double x = UnitsPerS(a), y = UnitsPerS(b);
  if (x <= 0 || y <= 0 || std::abs(x - y) > kSameRate * std::max(x, y)) return false;
  std::vector<double> steps_a = StepsOf(a), steps_b = StepsOf(b);
  if (steps_a.size() < kEnoughPoints || steps_a.size() != steps_b.size()) return false;
  return Correlation(steps_a, steps_b) >= kTogether;
}

class Maker {
 public:
  Maker(const Judged& judged, Loaded& loaded) : judged_(judged), loaded_(loaded) {}

  std::vector<Finding> Make(std::vector<size_t> sites) {
    std::erase_if(sites, [&](size_t i) { return Concern(judged_.sites[i].verdict.verdict) > 2; });
    std::sort(sites.begin(), sites.end(), [&](size_t a, size_t b) { return MoreSerious(judged_.sites[a], judged_.sites[b]); });
    SumRates(sites);
    Group(sites);
    for (Finding& finding : findings_) Describe(finding);
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    return std::move(findings_);
  }

 private:
  const JudgedSite& First(const Finding& finding) const { return judged_.sites[finding.sites.front()]; }

  void SumRates(const std::vector<size_t>& sites) {
    for (size_t i : sites) {
      const JudgedSite& site = judged_.sites[i];
      if (Proven(site)) leaked_per_s_[site.handles] += std::max(0.0, site.verdict.rate_while_active.value);
    }
  }

  void Group(const std::vector<size_t>& sites) {
    for (size_t i : sites) {
      const JudgedSite& site = judged_.sites[i];
      auto with = std::find_if(findings_.begin(), findings_.end(), [&](const Finding& finding) {
        const JudgedSite& first = First(finding);
        return Proven(site) && Proven(first) && LeakTogether(first, site);
      });
      if (with == findings_.end()) {
        findings_.emplace_back();
        with = findings_.end() - 1;
      }
      with->sites.push_back(i);
    }
  }

  // The soonest that leaks of this kind of site meet by their own rate.
  const verdict::TimeToLimit* LimitFor(const JudgedSite& site) const {
    const verdict::GrowthClass growth = CauseOf(site);
    const verdict::TimeToLimit* soonest = nullptr;
    for (const JudgedProcess& process : judged_.processes) {
      for (const verdict::GrowthCause& cause : process.verdict.causes) {
        if (cause.growth != growth || !cause.limit) continue;
        if (!soonest || cause.limit->seconds < soonest->seconds) soonest = &*cause.limit;
      }
    }
    return soonest;
  }

  static verdict::GrowthClass CauseOf(const JudgedSite& site) {
    if (site.handles) return verdict::GrowthClass::kHandle;
    if (site.type == "mmap") return verdict::GrowthClass::kMapping;
    return site.type == "thread" ? verdict::GrowthClass::kThread : verdict::GrowthClass::kHeap;
  }

  void Describe(Finding& finding) {
    const JudgedSite& first = First(finding);
    bool proven = Proven(first);
    for (size_t i : finding.sites) {
      if (judged_.sites[i].handles == first.handles) finding.rate_per_s += judged_.sites[i].verdict.rate_while_active.value;
    }
    double all = leaked_per_s_[first.handles];
    if (proven && all > 0) finding.share = finding.rate_per_s / all;
    const verdict::TimeToLimit* limit = LimitFor(first);
    finding.severity = Grade(finding, proven, limit);
    finding.title = fmt::format("{} {} in {}", NounOf(first), proven ? "leak" : "grow, not proven to leak,", PlaceOf(first, loaded_));
    finding.impact = Impact(finding, first, limit);
    finding.since = Since(first);
    finding.advice = proven ? Advice(first) : "wait: " + (first.verdict.needs.empty() ? "it is not decided" : first.verdict.needs);
    if (finding.sites.size() > 1) {
      finding.together = fmt::format("{} sites grow one for one, in the same snapshots: one owner forgotten, all of them kept",
                                     finding.sites.size());
    }
  }

  static Severity Grade(const Finding& finding, bool proven, const verdict::TimeToLimit* limit) {
    if (!proven) return Severity::kLow;
    double large = finding.share.value_or(0);
    if (limit && limit->seconds < kHourS && large >= kLargeShare) return Severity::kCritical;
    bool fast = finding.rate_per_s >= kFastBytesPerS;
    if ((limit && limit->seconds < kDayS && large >= kLargeShare) || large >= 2 * kLargeShare || fast) return Severity::kHigh;
    return Severity::kMedium;
  }

  std::string Impact(const Finding& finding, const JudgedSite& first, const verdict::TimeToLimit* limit) const {
    const auto& rate = first.verdict.rate_while_active;
    std::string text = PerTime(finding.rate_per_s, first.handles);
    if (finding.sites.size() == 1) {
      text += fmt::format(" [{}, {}]", PerTime(rate.low, first.handles), PerTime(rate.high, first.handles));
    }
    if (first.verdict.active_until_ms > 0) text += ", until " + verdict::ClockTime(first.verdict.active_until_ms) + "; idle since";
    if (finding.share) text += fmt::format(", {:.0f} % of what leaks", *finding.share * 100);
    text += first.handles ? fmt::format("; {} open", verdict::Count(first.live.value))
                          : fmt::format("; {} live in {}", Bytes(first.live.value), Counted(first.live_count.value, "block"));
    if (limit && Proven(first)) text += fmt::format("; the process meets its {} limit in {}", limit->kind, verdict::Duration(limit->seconds * 1000));
    return text;
  }

  std::string Since(const JudgedSite& site) const {
    if (!Proven(site)) return "";
    if (site.verdict.onset_ms == 0) return "the start, or as long as it was watched";
    return "about " + Clock(site.verdict.onset_ms) + " UTC";
  }

  // What was freed like it tells where to look: nothing at all, or all but some.
  std::string Advice(const JudgedSite& site) {
    double made = site.handles ? static_cast<double>(site.opened) : site.total_count.value;
    double kept = site.handles ? site.live.value : site.live_count.value;
    const char* undone = site.handles ? "closed" : site.type == "thread" ? "joined or detached" : site.type == "mmap" ? "unmapped" : "freed";
    double freed = made > 0 ? std::clamp((made - kept) / made, 0.0, 1.0) : 0;
    std::string place = PlaceOf(site, loaded_);
    if (freed < 0.02) {
      return fmt::format("nothing made here is ever {}: find who should own what {} makes, and when it is done with it",
                         undone, place);
    }
    return fmt::format("{:.{}f} % of what is made here is {}, the rest is forgotten: look at the early returns and error paths after {}, "
                       "and at containers that it is put into",
                       freed * 100, freed > 0.99 ? 1 : 0, undone, place);
  }

  const Judged& judged_;
  Loaded& loaded_;
  double leaked_per_s_[2] = {0, 0};
  std::vector<Finding> findings_;
};

}  // namespace

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kCritical: return "critical";
    case Severity::kHigh: return "high";
    case Severity::kMedium: return "medium";
    case Severity::kLow: return "low";
  }
  return "low";
}

Severity SeverityOf(const verdict::GrowthCause& cause) {
  if (cause.limit && cause.limit->seconds < kHourS) return Severity::kCritical;
  if (cause.limit && cause.limit->seconds < kDayS) return Severity::kHigh;
  const bool fast = cause.growth != verdict::GrowthClass::kHandle && cause.rate_per_s.value >= kFastBytesPerS;
  return fast && cause.growth != verdict::GrowthClass::kFileCache ? Severity::kMedium : Severity::kLow;
}

const ResolvedFrame* BlamedFrame(const ResolvedStack& stack) {
  const size_t own = OwnFramePlace(stack);
  for (size_t i = own; i < stack.size(); ++i) {
    if (!stack[i].function.empty() && !IsWrapper(stack[i]) && stack[i].module == stack[own].module) return &stack[i];
  }
  return OwnFrame(stack);
}

std::vector<Finding> MakeFindings(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded) {
  return Maker(judged, loaded).Make(sites);
}

std::string AllClear(const Judged& judged) {
  if (judged.processes.size() > 1) {
    const bool stable = std::all_of(judged.processes.begin(), judged.processes.end(), [](const JudgedProcess& process) {
      return process.verdict.verdict == Verdict::kBounded;
    });
    if (stable) return fmt::format("no leak found: {} processes, all stable", judged.processes.size());
  }
  const auto worst = std::min_element(judged.processes.begin(), judged.processes.end(),
                                      [](const JudgedProcess& a, const JudgedProcess& b) {
                                        return Concern(a.verdict.verdict) < Concern(b.verdict.verdict);
                                      });
  if (worst == judged.processes.end()) return "no leak found";
  // What grows without a proven site is not "no leak".
  const char* found = Concern(worst->verdict.verdict) <= Concern(Verdict::kGrowingUnproven)
                          ? "no leaking site found, but the process is "
                          : "no leak found: ";
  return found + worst->verdict.text;
}

}  // namespace leakhunt::viewer
