// The collector's alerts: a recording that leaks is judged so from its files, and the hook is told once.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#include "collector/alert/evaluation.h"
#include "collector/alert/judge.h"
#include "collector/notice.h"
#include "collector/record/recording_directory.h"
#include "fake_guest.h"

namespace leakhunt::alert {
namespace {

constexpr int64_t kStart = 1'700'000'000'000;
constexpr int64_t kStep = 60'000;
constexpr int kSnapshots = 90;

enum class Shape { kLeak, kSteady };

// Snapshot `n` of an exact recording with one site: a leak of a block of 1 KB a second, or a constant table.
snapshot::Snapshot Make(Shape shape, int n) {
  snapshot::Snapshot s;
  s.time_ms = kStart + (n + 1) * kStep;
  s.reason = "interval";
  s.process.pid = 4242;
  s.process.name = "subject";
  s.process.started_ms = kStart;
  s.sampling.exact = true;
  s.stacks.resize(2);
  s.modules.push_back({"/opt/subject", "", 0x1000, 0x9000, 0x1000});
  s.frames.push_back({0, 0x1234, 0});
  s.stacks[1].frames = {0};
  s.stacks[1].content_hash = 99;
  s.scopes = {""};
  snapshot::Site site;
  site.stack = 1;
  double blocks = shape == Shape::kLeak ? 60.0 * (n + 1) + 3 * std::sin(n * 7.0) : 500;
  double born = shape == Shape::kLeak ? blocks * 2 : 500 + 60.0 * n;
  site.live_bytes.value = std::round(blocks) * 1000;
  site.live_count.value = std::round(blocks);
  site.live_bytes.samples = site.live_count.samples = static_cast<uint64_t>(blocks);
  site.total_bytes.value = born * 1000;
  site.total_count.value = born;
  site.freed_samples = static_cast<uint64_t>(born - blocks);
  site.freed_bytes = (born - blocks) * 1000;
  site.lifetimes[1] = site.freed_samples;
  site.first_seen_ms = kStart;
  site.last_seen_ms = s.time_ms;
  if (shape == Shape::kLeak) {
    for (int i = 0; i <= n; ++i) site.cohorts.push_back({kStart + i * kStep, kStart + (i + 1) * kStep, 60, 60'000, 60});
  } else {
    site.cohorts.push_back({kStart, kStart + 1000, 500, 500'000, 500});
  }
  s.sites.push_back(site);
  snapshot::VitalsPoint vitals;
  vitals.time_ms = s.time_ms;
  vitals.rss_bytes = static_cast<uint64_t>(10e6 + site.live_bytes.value);
  vitals.heap_live_bytes = static_cast<uint64_t>(site.live_bytes.value);
  vitals.allocated_bytes = static_cast<uint64_t>((n + 1) * 5e6);
  s.vitals.push_back(vitals);
  s.limits.cgroup_bytes = 100'000'000;
  for (int i = 0; i <= n + 1; ++i) s.activity.push_back({kStart + i * kStep, static_cast<uint64_t>(i) * 5'000'000});
  return s;
}

std::filesystem::path WriteRecording(const std::string& output, Shape shape, int pid) {
  record::RecordingDirectory directory(output, {pid, "subject", kStart, 0});
  for (int n = 0; n < kSnapshots; ++n) {
    snapshot::Snapshot s = Make(shape, n);
    s.process.pid = pid;
    Result<std::filesystem::path> file = directory.NextFile();
    EXPECT_TRUE(file);
    snapshot::SnapshotWriter writer(*file);
    snapshot::AddRows(s, &writer);
    EXPECT_TRUE(directory.Write(&writer, &s, 0));
  }
  return directory.Directory();
}

TEST(Evaluation, ALeakIsFoundWithItsPlaceRateAndTimeToTheLimit) {
  leakhunt::testing::TemporaryDirectory directory;
  auto input = Evaluate(WriteRecording(directory.Path(), Shape::kLeak, 1));
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(input->process.verdict, verdict::Verdict::kLeaking);
  ASSERT_EQ(input->suspects.size(), 1u);
  EXPECT_EQ(input->suspects[0].place, "subject+0x1234");
  EXPECT_NEAR(input->suspects[0].rate_per_s.value, 1000, 100);
  ASSERT_TRUE(input->process.limit);
  EXPECT_EQ(input->process.limit->kind, "cgroup");
  EXPECT_GT(input->process.limit->seconds, 0);
}

TEST(Evaluation, ASteadyProcessHasNoSuspect) {
  leakhunt::testing::TemporaryDirectory directory;
  auto input = Evaluate(WriteRecording(directory.Path(), Shape::kSteady, 2));
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_TRUE(input->suspects.empty());
  EXPECT_NE(input->process.verdict, verdict::Verdict::kLeaking);
}

TEST(Evaluation, ARecordingThatIsNotThereIsAnError) { EXPECT_FALSE(Evaluate("/nonexistent/recording")); }

TEST(Judge, TellsTheHookOnceAndLeavesNoChild) {
  leakhunt::testing::TemporaryDirectory directory;
  std::string told = directory.Path() + "/told";
  auto leak = WriteRecording(directory.Path() + "/r", Shape::kLeak, 3);
  auto steady = WriteRecording(directory.Path() + "/r", Shape::kSteady, 4);
  SetVerbosity(Verbosity::kQuiet);
  {
    Judge judge("cat >> " + told);
    judge.Look(steady, Judge::kFirstLook);
    judge.Look(leak, Judge::kFirstLook - 1);  // too young: nobody is asked
    judge.Look(leak, Judge::kFirstLook);
    for (int i = 0; i < 500; ++i) {
      std::ifstream file(told);
      if (std::string line; std::getline(file, line)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    judge.Look(leak, Judge::kFirstLook + 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  SetVerbosity(Verbosity::kNormal);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  std::ifstream file(told);
  std::stringstream buffer;
  buffer << file.rdbuf();
  const std::string content = buffer.str();
  EXPECT_NE(content.find("\"state\":\"raised\""), std::string::npos) << content;
  EXPECT_NE(content.find("\"pid\":3"), std::string::npos);
  EXPECT_EQ(std::count(content.begin(), content.end(), '\n'), 1) << content;
}

}  // namespace
}  // namespace leakhunt::alert
