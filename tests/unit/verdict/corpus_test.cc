// The figures the verdicts are held to, on the half of the corpus that no threshold was fitted on.
#include <gtest/gtest.h>

#include <set>

#include "tests/bench/verdicts/corpus.h"
#include "tests/bench/verdicts/score.h"

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
