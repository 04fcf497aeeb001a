#include "preload/core/options.h"

#include <gtest/gtest.h>

#include "preload/protocol/layout.h"
#include "preload/sys/log.h"

namespace leakhunt::core {
namespace {

Options Read(std::vector<const char*> environment) {
  sys::SetLogTarget("off");
  environment.push_back(nullptr);
  Options options;
  ReadEnvironment(environment.data(), &options);
  return options;
}

TEST(Options, ReadsTheContractsVariables) {
  Options options = Read({"PATH=/bin", "LEAKHUNT_SAMPLE_BYTES=512k", "LEAKHUNT_BUDGET=0.5%", "LEAKHUNT_TRACK=heap,handles",
                          "LEAKHUNT_CHILDREN=ignore", "LEAKHUNT_INTERVAL=1.5s", "LEAKHUNT_SEED=42",
                          "LEAKHUNT_COLLECTOR=connect", "LEAKHUNT_SOCKET=/x/y"});
  EXPECT_EQ(options.sample_bytes, 512u * 1024);
  EXPECT_EQ(options.budget_ppm, 5000u);
  EXPECT_EQ(options.track, protocol::kTrackHeap | protocol::kTrackHandles);
  EXPECT_FALSE(options.follow_children);
  EXPECT_EQ(options.interval_ms, 1500u);
  EXPECT_TRUE(options.seeded);
  EXPECT_EQ(options.seed, 42u);
  EXPECT_EQ(options.collector, CollectorMode::kConnect);
  EXPECT_STREQ(options.socket, "/x/y");
}

TEST(Options, ABadValueLeavesTheDefault) {
  Options options = Read({"LEAKHUNT_SAMPLE_BYTES=lots", "LEAKHUNT_BUDGET=-3", "LEAKHUNT_TRACK=heap,cats",
                          "LEAKHUNT_INTERVAL=5 parsecs", "LEAKHUNT_COLLECTOR=maybe"});
  Options standard;
  EXPECT_EQ(options.sample_bytes, standard.sample_bytes);
  EXPECT_EQ(options.budget_ppm, standard.budget_ppm);
  EXPECT_EQ(options.track, standard.track);
  EXPECT_EQ(options.interval_ms, standard.interval_ms);
  EXPECT_EQ(options.collector, standard.collector);
}

TEST(Options, SizesInEveryUnit) {
  const auto sample_bytes = [](const char* setting) { return Read({setting}).sample_bytes; };
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=1"), 1u);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=700B"), 700u);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=64K"), 65'536u);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=64kB"), 65'536u);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=64KiB"), 65'536u);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=2Mb"), 2u << 20);
  EXPECT_EQ(sample_bytes("LEAKHUNT_SAMPLE_BYTES=1G"), 1u << 30);
  const uint64_t standard = Options().sample_bytes;
  for (const char* refused : {"LEAKHUNT_SAMPLE_BYTES=0", "LEAKHUNT_SAMPLE_BYTES=64Kx", "LEAKHUNT_SAMPLE_BYTES=64KBs",
                              "LEAKHUNT_SAMPLE_BYTES=2048G"}) {
    EXPECT_EQ(sample_bytes(refused), standard) << refused;
  }
}

TEST(Options, DurationsInEveryUnit) {
  EXPECT_EQ(Read({"LEAKHUNT_INTERVAL=500ms"}).interval_ms, 500u);
  EXPECT_EQ(Read({"LEAKHUNT_INTERVAL=30s"}).interval_ms, 30'000u);
  EXPECT_EQ(Read({"LEAKHUNT_INTERVAL=30m"}).interval_ms, 1'800'000u);
  EXPECT_EQ(Read({"LEAKHUNT_INTERVAL=2h"}).interval_ms, 7'200'000u);
}

}  // namespace
}  // namespace leakhunt::core
