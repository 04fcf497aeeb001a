// Judge() on small hand-made processes: what each class looks like, and what may never be called a leak.
#include "collector/verdict/verdict.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "collector/verdict/classify.h"
#include "tests/bench/verdicts/simulation.h"

namespace leakhunt::verdict {
namespace {

using corpus::Plan;
using corpus::Recorder;
using corpus::Simulation;

Plan Hour() {
  Plan plan;
  plan.span_s = 3600;
  plan.interval_s = 60;
  return plan;
}

SiteVerdict JudgeOne(const History& history) { return Judge({history}).front(); }

History SteadyLeak(Plan plan, double per_s) {
  Simulation sim(1, plan);
  sim.Arrivals(per_s, [&](double t) { sim.Born(t, 1000); });
  return sim.Run();
}

TEST(Judge, SteadyLeakIsLeakingAtItsRate) {
  SiteVerdict verdict = JudgeOne(SteadyLeak(Hour(), 0.5));
  EXPECT_EQ(verdict.verdict, Verdict::kLeaking);
  EXPECT_NEAR(verdict.rate_per_s.value, 500, 30);
  EXPECT_LE(verdict.rate_per_s.low, verdict.rate_per_s.value);
  EXPECT_GE(verdict.rate_per_s.high, verdict.rate_per_s.value);
  EXPECT_GT(verdict.confidence, 0.8);
  EXPECT_TRUE(verdict.evidence.trend_agrees && verdict.evidence.cohorts_agree && verdict.evidence.hazard_agrees);
  EXPECT_EQ(verdict.onset_ms, 0);
  EXPECT_EQ(verdict.needs, "");
}

TEST(Judge, WhereFreesMayGoUnseenNothingIsCalledALeak) {
  History history = SteadyLeak(Hour(), 0.5);
  history.frees_unseen = true;
  SiteVerdict verdict = JudgeOne(history);
  EXPECT_EQ(verdict.verdict, Verdict::kGrowingUnproven);
  EXPECT_NE(verdict.needs.find("own malloc"), std::string::npos) << verdict.needs;
}

TEST(Judge, WhereMoreWasSaidToLiveThanThereIsMemoryNothingIsAFinding) {
  History history = SteadyLeak(Hour(), 0.5);
  history.beyond_memory = true;
  const SiteVerdict verdict = JudgeOne(history);
  EXPECT_EQ(verdict.verdict, Verdict::kInconclusive);
  EXPECT_NE(verdict.needs.find("freed unseen"), std::string::npos) << verdict.needs;
}

TEST(Judge, EvidenceIsInWordsWithNumbers) {
  Evidence evidence = JudgeOne(SteadyLeak(Hour(), 0.5)).evidence;
  EXPECT_NE(evidence.trend.find("KiB/min"), std::string::npos) << evidence.trend;
  EXPECT_NE(evidence.cohorts.find("evenly spread"), std::string::npos) << evidence.cohorts;
  EXPECT_NE(evidence.hazard.find("0 died"), std::string::npos) << evidence.hazard;
}

TEST(Judge, LeakFromMidRunHasItsOnset) {
  Simulation sim(2, Hour());
  sim.Arrivals(1, [&](double t) { sim.Born(t, 1000); }, 2100);
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_EQ(verdict.verdict, Verdict::kOnset);
  EXPECT_NEAR(static_cast<double>(verdict.onset_ms), static_cast<double>(corpus::ToMs(2100)), 300'000);
}

TEST(Judge, CacheWithAFullTurnoverIsBounded) {
  Simulation sim(3, Hour());
  auto cache = std::make_shared<std::deque<Recorder::Block>>();
  sim.Arrivals(1, [&, cache](double t) {
    if (cache->size() == 900) {
      sim.Died(cache->front(), t);
      cache->pop_front();
    }
    cache->push_back(sim.Born(t, 1000));
  });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_TRUE(verdict.verdict == Verdict::kBounded || verdict.verdict == Verdict::kDecelerating)
      << VerdictName(verdict.verdict);
}

TEST(Judge, TableOfTheStartIsStartup) {
  Simulation sim(4, Hour());
  sim.Arrivals(100, [&](double t) { sim.Born(t, 64); }, 0, 10);
  EXPECT_EQ(JudgeOne(sim.Run()).verdict, Verdict::kStartup);
}

TEST(Judge, ChurnIsBoundedAndSaysAtMostHowFastItGrows) {
  Simulation sim(5, Hour());
  sim.Arrivals(5, [&](double t) { sim.DiesAt(sim.Born(t, 1000), t + sim.random().Exponential(20)); });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_EQ(verdict.verdict, Verdict::kBounded);
  EXPECT_LE(verdict.rate_per_s.low, 0);
  EXPECT_LT(verdict.rate_per_s.high, 100);
}

TEST(Judge, FillingCacheDecelerates) {
  Simulation sim(6, Hour());
  auto seen = std::make_shared<std::vector<bool>>(2000);
  sim.Arrivals(2000.0 * 8 / 3600, [&, seen](double t) {
    uint64_t key = sim.random().Below(2000);
    if (!(*seen)[key]) sim.Born(t, 500);
    (*seen)[key] = true;
  });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_EQ(verdict.verdict, Verdict::kDecelerating)
      << VerdictName(verdict.verdict) << "\n" << verdict.evidence.trend << "\n" << verdict.evidence.cohorts;
}

TEST(Judge, TooFewSnapshotsSayHowManyAreMissing) {
  Plan plan = Hour();
  plan.interval_s = 1800;
  Simulation sim(7, plan);
  sim.Arrivals(0.01, [&](double t) { sim.DiesAt(sim.Born(t, 1000), t + 1500); });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_TRUE(verdict.verdict == Verdict::kInconclusive || verdict.verdict == Verdict::kGrowingUnproven);
  EXPECT_NE(verdict.needs.find("needs 4 more snapshots"), std::string::npos) << verdict.needs;
}

TEST(Judge, FewBlocksSayHowLongMoreIsNeeded) {
  SiteVerdict verdict = JudgeOne(SteadyLeak(Hour(), 0.002));
  EXPECT_NE(verdict.verdict, Verdict::kLeaking);
  EXPECT_NE(verdict.needs.find("needs about"), std::string::npos) << verdict.needs;
}

TEST(Judge, AHandfulOfSampledBlocksSaysNothingOfHowASiteGrows) {
  Analysis analysis;
  analysis.points = 55;
  analysis.end_ms = 110'000;
  analysis.growth = 4e6;
  analysis.recent_ratio = 0;  // none came of late: with a mean interval of megabytes that is chance
  analysis.recent_ratio_high = 0.1;
  analysis.samples = 4;
  EXPECT_EQ(Classify(History{}, analysis, 0.001, Thresholds{}).verdict, Verdict::kGrowingUnproven);
  analysis.samples = 400;
  EXPECT_EQ(Classify(History{}, analysis, 0.001, Thresholds{}).verdict, Verdict::kDecelerating);
}

TEST(Judge, AGuessFromAHandfulOfSampledBlocksIsNoStartup) {
  Analysis analysis;
  analysis.points = 55;
  analysis.end_ms = 110'000;
  analysis.samples = 2;
  analysis.startup_share = 1;
  History history;
  history.points.resize(1);
  history.points.back().live = 16e6;
  history.points.back().variance = 128e12;  // two blocks of 512 bytes for 8 MB each
  EXPECT_EQ(Classify(history, analysis, 1, Thresholds{}).verdict, Verdict::kInconclusive);
  analysis.samples = 4;  // that all four would come so early of a site that goes on is next to impossible
  EXPECT_EQ(Classify(history, analysis, 1, Thresholds{}).verdict, Verdict::kStartup);
  analysis.samples = 2;
  history.points.back().variance = 0;  // two large blocks
  EXPECT_EQ(Classify(history, analysis, 1, Thresholds{}).verdict, Verdict::kStartup);
}

TEST(Judge, NothingAtAllIsInconclusive) {
  EXPECT_EQ(JudgeOne({}).verdict, Verdict::kInconclusive);
  EXPECT_TRUE(Judge({}).empty());
}

// Load for 60 s, then `after` of it.
Plan LoadThen(double after, double span_s = 150) {
  Plan plan;
  plan.span_s = span_s;
  plan.interval_s = 1;
  plan.load = [=](double t) { return t < 60 ? 1.0 : after; };
  return plan;
}

TEST(Judge, ALeakStandsWhileTheProcessIsIdle) {
  for (double after : {0.0, 0.01}) {
    SiteVerdict verdict = JudgeOne(SteadyLeak(LoadThen(after), 20));
    EXPECT_EQ(verdict.verdict, Verdict::kLeaking) << after << " " << VerdictName(verdict.verdict);
    EXPECT_NEAR(static_cast<double>(verdict.active_until_ms), static_cast<double>(corpus::ToMs(60)), 3000);
    EXPECT_NEAR(verdict.rate_while_active.value, 20'000, 3000);
    EXPECT_LT(verdict.rate_per_s.value, 1000);
  }
}

TEST(Judge, ALeakThatIsFreedWhileIdleIsGone) {
  Simulation sim(1, LoadThen(0));
  sim.Arrivals(20, [&](double t) { sim.DiesAt(sim.Born(t, 1000), 100); });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_TRUE(verdict.verdict != Verdict::kLeaking && verdict.verdict != Verdict::kOnset) << VerdictName(verdict.verdict);
}

TEST(Judge, AsMuchWorkWithoutGrowthEndsALeak) {
  Plan plan = LoadThen(1, 240);
  Simulation sim(1, plan);
  sim.Arrivals(20, [&](double t) { sim.Born(t, 1000); }, 0, 60);
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_TRUE(verdict.verdict != Verdict::kLeaking && verdict.verdict != Verdict::kOnset) << VerdictName(verdict.verdict);
}

TEST(Judge, ATableOfAShortStartIsNoLeakOfAnIdleProcess) {
  Plan plan;
  plan.span_s = 120;
  plan.interval_s = 1;
  plan.load = [](double t) { return t < 12 ? 1.0 : 0.0; };
  SiteVerdict verdict = JudgeOne(SteadyLeak(plan, 100));
  EXPECT_TRUE(verdict.verdict != Verdict::kLeaking && verdict.verdict != Verdict::kOnset) << VerdictName(verdict.verdict);
}

TEST(Judge, HandlesAreJudgedByCount) {
  Plan plan = Hour();
  plan.handles = true;
  Simulation sim(8, plan);
  sim.Arrivals(0.05, [&](double t) { sim.Born(t, 1); });
  sim.Arrivals(1, [&](double t) { sim.DiesAt(sim.Born(t, 1), t + 5); });
  SiteVerdict verdict = JudgeOne(sim.Run());
  EXPECT_EQ(verdict.verdict, Verdict::kLeaking);
  EXPECT_NEAR(verdict.rate_per_s.value, 0.05, 0.01);
  EXPECT_NE(verdict.evidence.trend.find("handles"), std::string::npos) << verdict.evidence.trend;
}

TEST(Judge, OrderOfResultsIsThatOfTheSites) {
  Simulation still(9, Hour());
  still.Arrivals(100, [&](double t) { still.Born(t, 64); }, 0, 10);
  std::vector<History> sites{still.Run(), SteadyLeak(Hour(), 0.5), History{}};
  std::vector<SiteVerdict> verdicts = Judge(sites);
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].verdict, Verdict::kStartup);
  EXPECT_EQ(verdicts[1].verdict, Verdict::kLeaking);
  EXPECT_EQ(verdicts[2].verdict, Verdict::kInconclusive);
}

// A real leak is found among thousands of sites that only fluctuate, and none of those is called one.
TEST(Judge, OneLeakAmongManySitesIsTheOnlyOne) {
  std::vector<History> sites;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Simulation sim(100 + seed, Hour());
    sim.Arrivals(0.5, [&](double t) { sim.DiesAt(sim.Born(t, 100), t + sim.random().Exponential(200)); });
    sites.push_back(sim.Run());
  }
  sites.push_back(SteadyLeak(Hour(), 0.1));
  std::vector<SiteVerdict> verdicts = Judge(sites);
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_TRUE(verdicts[i].verdict != Verdict::kLeaking && verdicts[i].verdict != Verdict::kOnset) << i;
  }
  EXPECT_EQ(verdicts.back().verdict, Verdict::kLeaking);
}

// Points that go back in time, negative figures, empty cohorts, births after the end: an answer, not a crash.
TEST(Judge, NonsenseIsSurvived) {
  corpus::Random random(11);
  std::vector<History> sites;
  for (int i = 0; i < 300; ++i) {
    History history;
    history.process_started_ms = static_cast<int64_t>(random.Between(-1e6, 1e6));
    history.exact = random.Chance(0.5);
    history.handles = random.Chance(0.2);
    for (uint64_t n = random.Below(40); n > 0; --n) {
      HistoryPoint point;
      point.time_ms = static_cast<int64_t>(random.Between(-1e6, 1e6));
      point.live = random.Between(-1e9, 1e9);
      point.activity = random.Between(-10, 1e9);
      point.freed_samples = random.Between(-1, 1e6);
      history.points.push_back(point);
    }
    for (uint64_t n = random.Below(20); n > 0; --n) {
      auto from = static_cast<int64_t>(random.Between(-1e6, 1e6));
      history.cohorts.push_back({from, from + static_cast<int64_t>(random.Between(-10, 1e5)), random.Below(100),
                                 random.Between(-1, 1e6), random.Between(-1, 1e3)});
    }
    if (random.Chance(0.5)) history.earlier.push_back({static_cast<int64_t>(random.Between(-1e6, 1e6)), history.cohorts});
    sites.push_back(history);
  }
  EXPECT_EQ(Judge(sites).size(), sites.size());
}

}  // namespace
}  // namespace leakhunt::verdict
