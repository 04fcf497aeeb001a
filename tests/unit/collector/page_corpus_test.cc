// Replays the fuzzer's corpus: nothing it ever found comes back.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/pages_target.h"

namespace leakhunt::testing {
namespace {

std::vector<std::vector<uint8_t>> Corpus() {
  std::vector<std::vector<uint8_t>> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(LEAKHUNT_TEST_DATA "/fuzz/pages")) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

TEST(PageCorpus, EveryInputIsSurvivedAndGivesASoundSnapshot) {
  const std::vector<std::vector<uint8_t>> corpus = Corpus();
  ASSERT_GE(corpus.size(), 7u);
  for (const std::vector<uint8_t>& input : corpus) EXPECT_EQ(ExercisePages(input.data(), input.size()), "");
}

// An input that is refused at the door, as all are of another layout version, exercises nothing.
TEST(PageCorpus, MostInputsAreReadAtAll) {
  const std::vector<std::vector<uint8_t>> corpus = Corpus();
  size_t opened = 0;
  for (const std::vector<uint8_t>& input : corpus) {
    if (ledger::ProcessLedger::Open(PageBuilder::SealBytes(ExpandPatches(input.data() + 1, input.size() - 1)))) ++opened;
  }
  EXPECT_GT(opened * 4, corpus.size() * 3) << opened << " of " << corpus.size();
}

TEST(PageCorpus, SeedsDefacedAtRandomAreSurvived) {
  constexpr uint64_t kSeed = 77;
  std::mt19937_64 random(kSeed);
  for (std::vector<uint8_t> input : Corpus()) {
    for (int round = 0; round < 40; ++round) {
      std::vector<uint8_t> defaced = input;
      for (int hit = 0; hit < 8; ++hit) defaced[random() % defaced.size()] = static_cast<uint8_t>(random());
      ASSERT_EQ(ExercisePages(defaced.data(), defaced.size()), "") << "seed " << kSeed;
    }
  }
}

TEST(PageCorpus, PatchesDescribeThePagesTheyWereMadeOf) {
  PageBuilder pages;
  pages.AddRecord({.size = 10, .stack = pages.AddStack({0x1000, 0x2000})});
  std::vector<uint8_t> content = pages.Content();
  const std::vector<uint8_t> input = PatchesOf(content, 1);
  content.resize(kFuzzedBytes);
  EXPECT_EQ(ExpandPatches(input.data() + 1, input.size() - 1), content);
}

}  // namespace
}  // namespace leakhunt::testing
