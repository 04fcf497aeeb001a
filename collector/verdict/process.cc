#include "collector/verdict/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "collector/verdict/limits.h"
#include "collector/verdict/phrase.h"
#include "collector/verdict/trend.h"

namespace leakhunt::verdict {

namespace {

using snapshot::Estimate;
using snapshot::VitalsPoint;

constexpr double kSignificant = 0.025;
constexpr double kStartupShare = 0.1;         // of the watch: not a trend yet
constexpr double kRssMatters = 256.0 * 1024;  // growth of RSS below this is noise of the allocator
constexpr double kRssMattersShare = 0.01;
constexpr int64_t kShortestWatchMs = 8'000;
constexpr double kFewestThreads = 4;          // more than so many new ones are growth
constexpr size_t kFewestParts = 6;            // points where RSS was taken apart, before a part of it grows

double Rss(const VitalsPoint& v) { return static_cast<double>(v.rss_bytes); }
double LiveHeap(const VitalsPoint& v) { return static_cast<double>(v.heap_live_bytes); }
double Slack(const VitalsPoint& v) { return static_cast<double>(v.allocator_slack_bytes); }
double Mappings(const VitalsPoint& v) { return static_cast<double>(v.mmap_bytes); }
double Stacks(const VitalsPoint& v) { return static_cast<double>(v.stack_bytes); }
double Files(const VitalsPoint& v) { return static_cast<double>(v.file_bytes); }
double PageTables(const VitalsPoint& v) { return static_cast<double>(v.page_table_bytes); }
double NotSeen(const VitalsPoint& v) { return static_cast<double>(v.unseen_bytes); }
double Shared(const VitalsPoint& v) { return static_cast<double>(v.shared_bytes); }
double Virtual(const VitalsPoint& v) { return static_cast<double>(v.virtual_bytes); }
double Own(const VitalsPoint& v) { return static_cast<double>(v.leakhunt_bytes); }
double Handles(const VitalsPoint& v) { return static_cast<double>(v.open_handles); }
double Threads(const VitalsPoint& v) { return static_cast<double>(v.threads); }
// Page tables are the kernel's and not in RSS; they are listed beside it and left out of the sum.
double Other(const VitalsPoint& v) {
  return Rss(v) - LiveHeap(v) - Slack(v) - NotSeen(v) - Mappings(v) - Stacks(v) - Files(v) - Shared(v) - Own(v);
}

using Field = double (*)(const VitalsPoint&);
struct PartField {
  const char* name;
  Field field;
  GrowthClass growth;
};
constexpr PartField kParts[] = {
    {"live heap", LiveHeap, GrowthClass::kHeap},         {"allocator slack", Slack, GrowthClass::kFragmentation},
    {"heap not seen", NotSeen, GrowthClass::kHeapNotSeen}, {"mappings", Mappings, GrowthClass::kMapping},
    {"stacks", Stacks, GrowthClass::kThread},            {"files", Files, GrowthClass::kFileCache},
    {"shared memory", Shared, GrowthClass::kSharedMemory}, {"page tables", PageTables, GrowthClass::kNotOurs},
    {"leakhunt", Own, GrowthClass::kNotOurs},            {"other", Other, GrowthClass::kNotOurs},
};

class ProcessJudge {
 public:
  ProcessJudge(const std::vector<VitalsPoint>& vitals, const struct snapshot::Limits& limits,
               const std::vector<JudgedSite>& sites)
      : vitals_(vitals), limits_(limits), sites_(sites) {
    auto time = [&](size_t i) { return static_cast<double>(vitals[i].time_ms); };
    std::vector<size_t> thin = Thin(vitals.size(), time);
    double begin = vitals.empty() ? 0 : time(0) + kStartupShare * (time(vitals.size() - 1) - time(0));
    for (size_t i : thin) {
      if (time(i) >= begin) kept_.push_back(i);
    }
    if (kept_.size() < 3) kept_ = thin;
    TakeOwnPagesOff();
  }

  ProcessVerdict Run() {
    SumSites();
    if (!vitals_.empty()) {
      rss_ = TrendOf(Rss, kept_, net_);
      handles_ = TrendOf(Handles, kept_, vitals_);
      threads_ = TrendOf(Threads, kept_, vitals_);
      virtual_ = TrendOf(Virtual, kept_, vitals_);
      out_.handles_per_s = RateOf(handles_);
      MeasureParts();
    }
    Decide();
    ListCauses();
    const bool idle = out_.active_until_ms > 0;  // its leaks do not grow: which is largest is known from before
    const bool first_counts = !out_.causes.empty() && (!idle || HasReasonOfItsOwn(out_.causes.front().growth));
    if (out_.leaking_sites > 0 && first_counts) out_.growth = out_.causes.front().growth;
    out_.limit = FirstLimit();
    out_.text = Sentence();
    return out_;
  }

 private:
  // RSS is taken apart at some points only (reading smaps is dear), and what leakhunt itself holds is known at those: the
  // figure is carried on to the points after, and its growth is not the program's.
  void TakeOwnPagesOff() {
    net_ = vitals_;
    uint64_t own = 0;
    for (size_t i = 0; i < vitals_.size(); ++i) {
      if (vitals_[i].pss_bytes > 0 || snapshot::HasParts(vitals_[i])) own = vitals_[i].leakhunt_bytes;
      net_[i].rss_bytes -= std::min(own, net_[i].rss_bytes);
    }
  }

  Trend TrendOf(Field field, const std::vector<size_t>& points, const std::vector<VitalsPoint>& vitals) const {
    Series series;
    for (size_t i : points) {
      double x = static_cast<double>(vitals[i].time_ms - vitals.front().time_ms);
      if (!series.x.empty() && x <= series.x.back()) continue;
      series.x.push_back(x);
      series.y.push_back(field(vitals[i]));
    }
    return FindTrend(series);
  }

  static Estimate RateOf(const Trend& trend) {
    return {trend.slope.value * 1000, trend.slope.low * 1000, trend.slope.high * 1000};
  }

  double SpanS() const {
    return vitals_.size() < 2 ? 0 : static_cast<double>(vitals_.back().time_ms - vitals_.front().time_ms) / 1000;
  }

  bool Grows(const Trend& trend, double least) const {
    return trend.p < kSignificant && trend.slope.low > 0 && trend.slope.value * 1000 * SpanS() >= least;
  }

  void SumSites() {
    double low2[2] = {0, 0}, high2[2] = {0, 0};
    for (const JudgedSite& site : sites_) {
      if (site.verdict.verdict != Verdict::kLeaking && site.verdict.verdict != Verdict::kOnset) continue;
      ++out_.leaking_sites;
      out_.confidence = std::max(out_.confidence, site.verdict.confidence);
      const Estimate& rate = site.verdict.rate_per_s;
      out_.active_until_ms = std::max(out_.active_until_ms, site.verdict.active_until_ms);
      works_on_ |= site.verdict.active_until_ms == 0;
      if (site.handles) active_handles_ += site.verdict.rate_while_active.value;
      else active_by_kind_[static_cast<size_t>(site.kind)] += site.verdict.rate_while_active.value;
      size_t which = site.handles ? 1 : 0;
      ++count_[which];
      leak_[which].value += rate.value;
      low2[which] += std::pow(rate.value - rate.low, 2);
      high2[which] += std::pow(rate.high - rate.value, 2);
      if (!site.handles) AddRate(rate, &by_kind_[static_cast<size_t>(site.kind)]);
    }
    if (works_on_) out_.active_until_ms = 0;
    for (size_t which : {0u, 1u}) {
      leak_[which].low = std::max(0.0, leak_[which].value - std::sqrt(low2[which]));
      leak_[which].high = leak_[which].value + std::sqrt(high2[which]);
    }
  }

  static void AddRate(const Estimate& rate, Estimate* sum) {
    sum->value += rate.value;
    sum->low += rate.low;
    sum->high += rate.high;
  }

  void MeasureParts() {
    std::vector<size_t> apart;
    for (size_t i = 0; i < vitals_.size(); ++i) {
      if (snapshot::HasParts(vitals_[i])) apart.push_back(i);
    }
    if (apart.empty()) return;
    std::vector<size_t> thin;
    for (size_t k : Thin(apart.size(), [&](size_t i) { return static_cast<double>(vitals_[apart[i]].time_ms); })) {
      thin.push_back(apart[k]);
    }
    for (const PartField& part : kParts) {
      const Trend trend = TrendOf(part.field, thin, vitals_);
      out_.parts.push_back({part.name, part.field(vitals_[apart.back()]), RateOf(trend)});
      // Where RSS grows beyond doubt, a part needs no proof of its own: an allocator's slack goes up and down on its way.
      const bool with_rss = RssGrows() && trend.slope.low > 0 && trend.slope.value * 1000 * SpanS() >= kRssMatters;
      part_grows_.push_back(thin.size() >= kFewestParts && (with_rss || Grows(trend, kRssMatters)));
    }
  }

  bool RssGrows() const {
    if (vitals_.size() < 6 || SpanS() * 1000 < kShortestWatchMs) return false;
    return Grows(rss_, std::max(kRssMatters, kRssMattersShare * Rss(vitals_.back())));
  }

  GrowthClass LeakClass() const {
    if (count_[0] == 0) return GrowthClass::kHandle;
    size_t largest = 0;
    for (size_t k = 1; k < 3; ++k) {
      if (active_by_kind_[k] > active_by_kind_[largest]) largest = k;
    }
    constexpr GrowthClass kByKind[] = {GrowthClass::kHeap, GrowthClass::kMapping, GrowthClass::kThread};
    return kByKind[largest];
  }

  // Which part of RSS takes most of its growth.
  GrowthClass LargestPart() const {
    double most = 0;
    GrowthClass found = GrowthClass::kNotOurs;
    for (size_t i = 0; i < out_.parts.size(); ++i) {
      if (out_.parts[i].rate_per_s.value <= most) continue;
      most = out_.parts[i].rate_per_s.value;
      found = kParts[i].growth;
    }
    if (found == GrowthClass::kThread || (found == GrowthClass::kMapping && Grows(threads_, kFewestThreads))) return GrowthClass::kThread;
    return found;
  }

  void Decide() {
    out_.rate_per_s = count_[0] > 0 ? leak_[0] : RateOf(rss_);
    if (count_[1] > 0 && leak_[1].value > out_.handles_per_s.value) out_.handles_per_s = leak_[1];
    if (out_.leaking_sites > 0) {
      bool all_onset = std::all_of(sites_.begin(), sites_.end(),
                                   [](const JudgedSite& s) { return s.verdict.verdict != Verdict::kLeaking; });
      out_.verdict = all_onset ? Verdict::kOnset : Verdict::kLeaking;
      out_.growth = LeakClass();
      return;
    }
    if (vitals_.size() < 6 || SpanS() * 1000 < kShortestWatchMs) return;
    if (RssGrows()) {
      out_.verdict = Verdict::kGrowingUnproven;
      out_.growth = LargestPart();
      out_.confidence = 1 - rss_.p;
      return;
    }
    bool handles = Grows(handles_, 8);
    out_.verdict = handles ? Verdict::kGrowingUnproven : Verdict::kBounded;
    out_.growth = handles ? GrowthClass::kHandle : GrowthClass::kNone;
    out_.confidence = handles ? 1 - handles_.p : std::min(0.95, rss_.p);
  }

  // Leaks by kind, and the parts of RSS that grow for reasons of their own.
  void ListCauses() {
    constexpr GrowthClass kByKind[] = {GrowthClass::kHeap, GrowthClass::kMapping, GrowthClass::kThread};
    for (size_t kind = 0; kind < 3; ++kind) {
      if (by_kind_[kind].value > 0) out_.causes.push_back({kByKind[kind], by_kind_[kind], std::nullopt});
    }
    for (size_t i = 0; i < part_grows_.size(); ++i) {
      if (part_grows_[i] && HasReasonOfItsOwn(kParts[i].growth)) {
        out_.causes.push_back({kParts[i].growth, out_.parts[i].rate_per_s, std::nullopt});
      }
    }
    std::stable_sort(out_.causes.begin(), out_.causes.end(), [](const GrowthCause& a, const GrowthCause& b) {
      return a.rate_per_s.value > b.rate_per_s.value;
    });
    if (count_[1] > 0) out_.causes.push_back({GrowthClass::kHandle, out_.handles_per_s, std::nullopt});
    if (vitals_.empty()) return;
    for (GrowthCause& cause : out_.causes) cause.limit = LimitOfCause(cause);
  }

  // Live heap, mappings and stacks are judged by their sites.
  static bool HasReasonOfItsOwn(GrowthClass growth) {
    return growth == GrowthClass::kFragmentation || growth == GrowthClass::kHeapNotSeen ||
           growth == GrowthClass::kSharedMemory || growth == GrowthClass::kFileCache;
  }

  std::optional<TimeToLimit> LimitOfCause(const GrowthCause& cause) const {
    if (out_.active_until_ms > 0 && !HasReasonOfItsOwn(cause.growth)) return std::nullopt;
    LimitOffers offers(vitals_.back(), limits_);
    if (cause.growth == GrowthClass::kHandle) offers.Handles(cause.rate_per_s);
    else if (cause.growth != GrowthClass::kFileCache) offers.Memory(cause.rate_per_s);
    if (cause.growth == GrowthClass::kThread && Grows(threads_, kFewestThreads)) offers.Threads(RateOf(threads_));
    return offers.First();
  }

  // Pages of files can be dropped: what grows of them brings no limit nearer.
  Estimate WithoutFiles(Estimate rate) const {
    for (size_t i = 0; i < part_grows_.size(); ++i) {
      if (!part_grows_[i] || kParts[i].growth != GrowthClass::kFileCache) continue;
      const double files = out_.parts[i].rate_per_s.value;
      rate = {rate.value - files, std::max(0.0, rate.low - files), rate.high - files};
    }
    return rate;
  }

  // Of memory, address space and threads.
  std::optional<TimeToLimit> FirstMemoryLimit() const {
    if (vitals_.empty() || out_.active_until_ms > 0) return std::nullopt;  // an idle leak goes nowhere
    LimitOffers offers(vitals_.back(), limits_);
    const Estimate rss = WithoutFiles(RateOf(rss_));
    const bool grows = RssGrows() && out_.growth != GrowthClass::kFileCache;
    if (count_[0] > 0 || grows) offers.Memory(grows && rss.value > leak_[0].value ? rss : leak_[0]);
    if (Grows(virtual_, kRssMatters)) offers.AddressSpace(RateOf(virtual_));
    if (Grows(threads_, kFewestThreads)) offers.Threads(RateOf(threads_));
    return offers.First();
  }

  std::optional<TimeToLimit> HandleLimit() const {
    if (vitals_.empty() || out_.active_until_ms > 0) return std::nullopt;
    LimitOffers offers(vitals_.back(), limits_);
    if (count_[1] > 0 || Grows(handles_, 8)) offers.Handles(out_.handles_per_s);
    return offers.First();
  }

  std::optional<TimeToLimit> FirstLimit() const {
    const std::optional<TimeToLimit> memory = FirstMemoryLimit(), handles = HandleLimit();
    if (!memory || !handles) return memory ? memory : handles;
    return memory->seconds <= handles->seconds ? memory : handles;
  }

  static std::string LimitText(const std::optional<TimeToLimit>& limit) {
    if (!limit) return "";
    const TimeToLimit& l = *limit;
    const std::string low = Duration(l.low_s * 1000), high = l.high_s ? Duration(*l.high_s * 1000) : "";
    std::string range = fmt::format(" (not before {})", low);
    if (l.high_s) range = low == high ? "" : fmt::format(" ({} to {})", low, high);
    return fmt::format(", {} to the {} limit{}", Duration(l.seconds * 1000), l.kind, range);
  }

  // The soonest that the leaks of memory would meet alone; where nothing else grows faster, that of the process.
  std::optional<TimeToLimit> LeakLimit() const {
    if (out_.causes.empty() || !HasReasonOfItsOwn(out_.growth)) return FirstMemoryLimit();
    const TimeToLimit* soonest = SoonestOfLeaks(out_, false);
    return soonest == nullptr ? std::nullopt : std::optional(*soonest);
  }

  std::string BesideLeak() const {
    if (out_.causes.empty() || !HasReasonOfItsOwn(out_.growth)) return "";
    const GrowthCause& cause = out_.causes.front();
    return fmt::format("; growing {} by {}{}", PerTime(cause.rate_per_s.value, false), GrowthClassName(cause.growth),
                       LimitText(cause.limit));
  }

  static std::string AtSites(double per_s, bool handles, int sites) {
    return fmt::format("{} at {} site{}", PerTime(per_s, handles), sites, sites == 1 ? "" : "s");
  }

  std::string IdleSentence() const {
    std::string text;
    if (count_[0] > 0) text = AtSites(active_by_kind_[0] + active_by_kind_[1] + active_by_kind_[2], false, count_[0]);
    if (count_[1] > 0) text += (text.empty() ? "" : " and ") + AtSites(active_handles_, true, count_[1]);
    return fmt::format("grew {} until {}, idle since; what leaked is still held", text, ClockTime(out_.active_until_ms));
  }

  // Memory and handles, each with its own rate and limit.
  std::string LeakSentence() const {
    std::string text;
    if (count_[0] > 0) text = "leaking " + AtSites(out_.rate_per_s.value, false, count_[0]) + LimitText(LeakLimit());
    if (count_[1] == 0) return text;
    return text + (text.empty() ? "" : "; ") + "leaking " + AtSites(out_.handles_per_s.value, true, count_[1]) +
           LimitText(HandleLimit());
  }

  std::string Sentence() const {
    bool handles = out_.growth == GrowthClass::kHandle;
    std::string rate = PerTime(handles ? out_.handles_per_s.value : out_.rate_per_s.value, handles);
    switch (out_.verdict) {
      case Verdict::kLeaking:
      case Verdict::kOnset:
        return (out_.active_until_ms > 0 ? IdleSentence() : LeakSentence()) + BesideLeak();
      case Verdict::kGrowingUnproven:
        return fmt::format("growing {} ({}), no leaking site proven{}", rate, GrowthClassName(out_.growth),
                           LimitText(handles ? HandleLimit() : FirstMemoryLimit()));
      case Verdict::kBounded:
        return fmt::format("stable, at most {} with 95 % confidence", PerTime(std::max(0.0, out_.rate_per_s.high), false));
      default:
        return fmt::format("not watched long enough to say ({} points over {})", vitals_.size(), Duration(SpanS() * 1000));
    }
  }

  const std::vector<VitalsPoint>& vitals_;
  const struct snapshot::Limits& limits_;
  const std::vector<JudgedSite>& sites_;
  std::vector<size_t> kept_;
  std::vector<VitalsPoint> net_;  // with leakhunt's own pages taken off RSS
  Trend rss_, handles_, threads_, virtual_;
  Estimate leak_[2];             // memory, handles
  int count_[2] = {0, 0};
  Estimate by_kind_[3];          // of leaks of memory
  std::vector<bool> part_grows_;
  bool works_on_ = false;        // some leaking site's process was not idle at the end
  double active_by_kind_[3] = {0, 0, 0}, active_handles_ = 0;  // a second, of the leaks while the process worked
  ProcessVerdict out_;
};

}  // namespace

const char* GrowthClassName(GrowthClass growth) {
  switch (growth) {
    case GrowthClass::kNone: return "none";
    case GrowthClass::kHeap: return "heap";
    case GrowthClass::kMapping: return "mapping";
    case GrowthClass::kHandle: return "handle";
    case GrowthClass::kThread: return "thread";
    case GrowthClass::kFragmentation: return "fragmentation";
    case GrowthClass::kFileCache: return "file-cache";
    case GrowthClass::kNotOurs: return "not-ours";
    case GrowthClass::kHeapNotSeen: return "heap-not-seen";
    case GrowthClass::kSharedMemory: return "shared-memory";
  }
  return "none";
}

ProcessVerdict JudgeProcess(const std::vector<VitalsPoint>& vitals, const struct snapshot::Limits& limits,
                            const std::vector<JudgedSite>& sites) {
  return ProcessJudge(vitals, limits, sites).Run();
}

}  // namespace leakhunt::verdict
