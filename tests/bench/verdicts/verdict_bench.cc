// verdict_bench: judges the corpus and prints the confusion matrix of each half, and the time for 10,000 sites of
// 1,000 points. Exit status 1 when the held-out half misses the bar (precision 0.97, recall 0.95, no cache that turned
// over called a leak). `verdict_bench [--variants N] [--misses] [--half tuning|held-out|both] [--json FILE]`.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>

#include "tests/bench/verdicts/corpus.h"
#include "tests/bench/verdicts/score.h"

namespace {

using namespace leakhunt;

struct Options {
  int variants = 8;
  bool misses = false;
  std::string half = "both";
  const char* json = nullptr;
};

void PrintMisses(const std::vector<corpus::Labelled>& all, const std::vector<verdict::SiteVerdict>& verdicts,
                 const Options& options) {
  for (size_t i = 0; i < all.size(); ++i) {
    if (options.half != "both" && corpus::HeldOut(all[i].name) != (options.half == "held-out")) continue;
    bool called = corpus::CalledLeak(verdicts[i]);
    if (called == (all[i].label == corpus::Label::kLeak) && all[i].label != corpus::Label::kInsufficient) continue;
    if (all[i].label == corpus::Label::kInsufficient && !called) continue;
    const auto& e = verdicts[i].evidence;
    fmt::print("{} {} {} points, {}{}: {}\n  {} {}\n  {} {}\n  {} {}\n  {}\n", all[i].name,
               corpus::LabelName(all[i].label), all[i].history.points.size(), all[i].history.exact ? "exact" : "sampled",
               all[i].history.handles ? ", handles" : "", verdict::VerdictName(verdicts[i].verdict),
               e.trend_agrees ? "+" : "-", e.trend, e.cohorts_agree ? "+" : "-", e.cohorts, e.hazard_agrees ? "+" : "-",
               e.hazard, verdicts[i].needs);
  }
}

// Leaking and bounded histories by turns, each stretched to 1,000 points.
std::vector<verdict::History> ManySites(const std::vector<corpus::Labelled>& all) {
  std::vector<verdict::History> sites;
  sites.reserve(10'000);
  while (sites.size() < 10'000) {
    verdict::History site = all[sites.size() * 7 % all.size()].history;
    std::vector<verdict::HistoryPoint> points;
    points.reserve(1000);
    for (size_t i = 0; i < 1000; ++i) {
      size_t k = i * site.points.size() / 1000;
      points.push_back(site.points[k]);
      if (k + 1 < site.points.size()) {  // between two points, straight
        double part = static_cast<double>(i * site.points.size() % 1000) / 1000;
        const auto &a = site.points[k], &b = site.points[k + 1];
        points.back().time_ms += static_cast<int64_t>(part * static_cast<double>(b.time_ms - a.time_ms));
        points.back().live += part * (b.live - a.live);
        points.back().activity += part * (b.activity - a.activity);
      }
    }
    site.points = std::move(points);
    sites.push_back(std::move(site));
  }
  return sites;
}

double SecondsForManySites(const std::vector<corpus::Labelled>& all) {
  std::vector<verdict::History> sites = ManySites(all);
  std::clock_t before = std::clock();  // CPU time of this one thread: the machine may be shared
  auto verdicts = verdict::Judge(sites);
  double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  return verdicts.size() == sites.size() ? seconds : -1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    bool value = i + 1 < argc;
    if (!std::strcmp(argv[i], "--misses")) {
      options.misses = true;
    } else if (!std::strcmp(argv[i], "--variants") && value) {
      options.variants = std::atoi(argv[++i]);
    } else if (!std::strcmp(argv[i], "--half") && value) {
      options.half = argv[++i];
    } else if (!std::strcmp(argv[i], "--json") && value) {
      options.json = argv[++i];
    } else {
      std::fprintf(stderr, "usage: verdict_bench [--variants N] [--misses] [--half tuning|held-out|both] [--json FILE]\n");
      return 2;
    }
  }
  auto all = corpus::BuildCorpus(options.variants);
  auto verdicts = corpus::JudgeInCrowd(all);
  if (options.misses) PrintMisses(all, verdicts, options);
  corpus::Score tuning, held_out;
  for (size_t i = 0; i < all.size(); ++i) (corpus::HeldOut(all[i].name) ? held_out : tuning).Add(all[i], verdicts[i]);
  if (options.half != "held-out") fmt::print("{}\n", tuning.Table("tuning half"));
  if (options.half != "tuning") fmt::print("{}\n", held_out.Table("held-out half"));
  corpus::Score recorded;
  auto real = corpus::ReadRecorded(LEAKHUNT_VERDICT_DATA);
  auto judged = corpus::JudgeInCrowd(real);
  if (options.misses) PrintMisses(real, judged, options);
  for (size_t i = 0; i < real.size(); ++i) recorded.Add(real[i], judged[i]);
  fmt::print("{}\n", recorded.Table("recorded from real programs"));
  double seconds = SecondsForManySites(all);
  fmt::print("10,000 sites x 1,000 points: {:.2f} s of CPU\n", seconds);
  if (options.json) {
    std::FILE* file = std::fopen(options.json, "w");
    if (!file) return std::perror(options.json), 1;
    std::string text = fmt::format("{{\"histories\": {}, \"tuning\": {}, \"held_out\": {}, \"recorded\": {}, \"seconds_10000x1000\": {:.3f}}}\n",
                                   all.size(), tuning.Json(), held_out.Json(), recorded.Json(), seconds);
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }
  return held_out.Precision() >= 0.97 && held_out.Recall() >= 0.95 && held_out.turned_over_called_leak() == 0 ? 0 : 1;
}
