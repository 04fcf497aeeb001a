// Every perf map of the fuzzer's corpus, as it is, cut short and damaged.
#include <gtest/gtest.h>

#include "tests/fuzz/jit_map_target.h"
#include "tests/unit/corpus.h"

namespace leakhunt::symbolizer {
namespace {

TEST(JitMapCorpus, IsSurvivedAndSoundLinesAreNamed) {
  size_t named = 0;
  testing::ForEachOfCorpus("perf_map", [&](const std::vector<uint8_t>& bytes) { named += ReadJitMap(bytes.data(), bytes.size()) > 0; });
  EXPECT_GE(named, 4u);
  testing::ForEachDamaged("perf_map", 200, [](const std::vector<uint8_t>& bytes) { ReadJitMap(bytes.data(), bytes.size()); });
}

}  // namespace
}  // namespace leakhunt::symbolizer
