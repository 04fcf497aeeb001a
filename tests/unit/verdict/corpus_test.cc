// The figures the verdicts are held to, on the half of the corpus that no threshold was fitted on.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/bench/verdicts/corpus.h"
#include "tests/bench/verdicts/score.h"
#include "tests/bench/verdicts/stored.h"

namespace leakhunt::corpus {
namespace {

struct Judged {
  std::vector<Labelled> histories = BuildCorpus();
  std::vector<verdict::SiteVerdict> verdicts = JudgeInCrowd(histories);
};

const Judged& Whole() {
  static const Judged judged;
  return judged;
}

Score HeldOutScore() {
  Score score;
  for (size_t i = 0; i < Whole().histories.size(); ++i) {
    if (HeldOut(Whole().histories[i].name)) score.Add(Whole().histories[i], Whole().verdicts[i]);
  }
  return score;
}

TEST(Corpus, HasThreeHundredHistoriesInTwoComparableHalves) {
  std::set<std::string> names;
  size_t held_out = 0;
  for (const Labelled& labelled : Whole().histories) {
    names.insert(labelled.name);
    held_out += HeldOut(labelled.name);
  }
  EXPECT_GE(names.size(), 300u);
  EXPECT_EQ(names.size(), Whole().histories.size());
  EXPECT_GT(held_out, names.size() * 4 / 10);
  EXPECT_LT(held_out, names.size() * 6 / 10);
}

TEST(Corpus, HeldOutPrecisionAndRecall) {
  Score score = HeldOutScore();
  EXPECT_GE(score.Precision(), 0.97) << score.Table("held-out half");
  EXPECT_GE(score.Recall(), 0.95) << score.Table("held-out half");
}

TEST(Corpus, BoundedWithAFullTurnoverIsNeverALeak) {
  for (size_t i = 0; i < Whole().histories.size(); ++i) {
    const Labelled& labelled = Whole().histories[i];
    if (labelled.turned_over) {
      EXPECT_FALSE(CalledLeak(Whole().verdicts[i])) << labelled.name;
    }
  }
}

TEST(Corpus, TooFewBlocksOrSecondsAreNeverALeak) {
  for (size_t i = 0; i < Whole().histories.size(); ++i) {
    const Labelled& labelled = Whole().histories[i];
    bool scarce = labelled.family == "unsure-few-blocks" || labelled.family == "unsure-very-short";
    if (scarce) {
      EXPECT_FALSE(CalledLeak(Whole().verdicts[i])) << labelled.name;
    }
  }
}

TEST(Corpus, UndecidedGrowthSaysWhatItNeeds) {
  for (size_t i = 0; i < Whole().histories.size(); ++i) {
    const auto& verdict = Whole().verdicts[i];
    if (verdict.verdict == verdict::Verdict::kGrowingUnproven) {
      EXPECT_NE(verdict.needs, "") << Whole().histories[i].name;
    }
  }
}

// redis with growing keys, a growing list and capped keys; the bundled service, exact and sampled.
TEST(Recorded, RealProgramsAreJudgedAsTheirDriversKnow) {
  Score score;
  std::vector<Labelled> recorded = ReadRecorded(LEAKHUNT_VERDICT_DATA);
  std::vector<verdict::SiteVerdict> verdicts = JudgeInCrowd(recorded);
  for (size_t i = 0; i < recorded.size(); ++i) score.Add(recorded[i], verdicts[i]);
  EXPECT_GE(score.Histories(), 50);
  EXPECT_EQ(score.Precision(), 1) << score.Table("recorded");
  EXPECT_EQ(score.Recall(), 1) << score.Table("recorded");
}

TEST(Recorded, StoredHistoriesReadBackAsTheyWere) {
  Labelled before = BuildCorpus(1).front();
  std::stringstream text;
  text.precision(17);
  Store(before, text);
  std::string error;
  std::vector<Labelled> after = ReadStored(text, error);
  ASSERT_EQ(after.size(), 1u) << error;
  ASSERT_EQ(after[0].history.points.size(), before.history.points.size());
  EXPECT_EQ(after[0].history.points.back().lifetimes, before.history.points.back().lifetimes);
  EXPECT_EQ(after[0].history.points.back().live, before.history.points.back().live);
  EXPECT_EQ(after[0].history.earlier.size(), before.history.earlier.size());
  EXPECT_EQ(after[0].history.cohorts.size(), before.history.cohorts.size());
  EXPECT_EQ(after[0].label, before.label);
}

TEST(Recorded, AForeignFileIsRefusedWithItsLine) {
  std::stringstream text("site a leak exact bytes 5\nnonsense\n");
  std::string error;
  EXPECT_TRUE(ReadStored(text, error).empty());
  EXPECT_EQ(error, "line 2: nonsense");
}

TEST(Corpus, IsTheSameEveryTime) {
  std::vector<Labelled> again = BuildCorpus(1);
  for (const Labelled& labelled : again) {
    for (const Labelled& first : Whole().histories) {
      if (first.name != labelled.name) continue;
      ASSERT_EQ(first.history.points.size(), labelled.history.points.size());
      EXPECT_EQ(first.history.points.back().live, labelled.history.points.back().live) << first.name;
    }
  }
}

}  // namespace
}  // namespace leakhunt::corpus
