// Every packet list of the fuzzer's corpus, as it is, cut short and damaged.
#include <gtest/gtest.h>

#include "tests/fuzz/messages_target.h"
#include "tests/unit/corpus.h"

namespace leakhunt::ingest {
namespace {

TEST(MessageCorpus, NothingOutsideTheProtocolIsTakenAndNoDescriptorIsLeft) {
  testing::ForEachOfCorpus("messages", [](const std::vector<uint8_t>& bytes) { EXPECT_EQ(ExerciseMessages(bytes.data(), bytes.size()), ""); });
  testing::ForEachDamaged("messages", 300, [](const std::vector<uint8_t>& bytes) { EXPECT_EQ(ExerciseMessages(bytes.data(), bytes.size()), ""); });
}

}  // namespace
}  // namespace leakhunt::ingest
