// Files of every format version that was ever written stay readable, and what protoc makes of the message by
// snapshot.proto is what was written.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "collector/snapshot/message.h"
#include "collector/snapshot/reader.h"
#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::snapshot {
namespace {

namespace fs = std::filesystem;
const fs::path kSource = LEAKHUNT_SOURCE_DIR;

TEST(Golden, FirstFormatReadsWithItsValues) {
  Result<Snapshot> read = ReadSnapshot(kSource / "tests/data/golden/format-1.lhs");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->number, 2u);
  EXPECT_EQ(read->time_ms, 1'700'000'120'000);
  EXPECT_EQ(read->process.pid, 4242);
  EXPECT_EQ(read->process.command, (std::vector<std::string>{"/opt/shop/bin/server", "--port", "8080", ""}));
  EXPECT_EQ(read->process.end, End::kSignal);
  EXPECT_EQ(read->sampling.mean_bytes, 4096u);
  ASSERT_EQ(read->sites.size(), 2u);
  EXPECT_EQ(read->sites[0].live_bytes.value, 2'000'000);
  EXPECT_EQ(read->sites[0].cohorts.at(1).live_count, 6000);
  EXPECT_EQ(read->scopes.at(read->sites[0].scope), "checkout");
  EXPECT_EQ(read->stacks.at(read->sites[1].stack).content_hash, 0x2222u);
  EXPECT_EQ(read->modules.at(1).build_id, "ff00ff00");
  EXPECT_EQ(read->handle_sites.at(0).type, HandleType::kTcp);
  EXPECT_EQ(read->handle_sites.at(0).open, 5u);
  EXPECT_EQ(read->untracked.at(0).fd, 0);
  EXPECT_EQ(read->vitals.at(0).rss_bytes, 52'000'000u);
  EXPECT_EQ(read->limits.cgroup_bytes, 256'000'000u);
  EXPECT_EQ(read->losses.gaps.at(0).to_ms, 1'700'000'000'200);
}

std::string OutputOf(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char chunk[4096];
  while (size_t got = std::fread(chunk, 1, sizeof chunk, pipe)) text.append(chunk, got);
  return ::pclose(pipe) == 0 ? text : "failed: " + text;
}

TEST(Golden, SchemaFileSaysTheSameAsTheFieldList) {
  if (std::system("command -v protoc > /dev/null 2>&1") != 0) GTEST_SKIP() << "protoc is not installed";
  leakhunt::testing::TemporaryDirectory directory;
  std::string message = EncodeMessage(leakhunt::testing::SampleSnapshot());
  std::ofstream(directory.Path() / "message", std::ios::binary) << message;
  std::string protoc = "protoc --proto_path=" + (kSource / "collector/snapshot").string();
  std::string schema = " snapshot.proto < " + directory.Path().string();
  std::string text = OutputOf(protoc + " --decode=leakhunt.Snapshot" + schema + "/message");
  EXPECT_NE(text.find("build_id: \"aabbccdd00112233\""), std::string::npos) << text.substr(0, 400);
  EXPECT_NE(text.find("module_plus_one: 2"), std::string::npos);
  // protoc prints a field it has no name for by its number: no line may begin with a digit.
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t start = line.find_first_not_of(' ');
    EXPECT_FALSE(start != std::string::npos && std::isdigit(static_cast<unsigned char>(line[start]))) << line;
  }
  std::ofstream(directory.Path() / "text") << text;
  EXPECT_EQ(OutputOf(protoc + " --encode=leakhunt.Snapshot" + schema + "/text").size(), message.size());
}

// Every input the fuzzer was started from or found is read without harm.
TEST(Golden, CorpusIsReadWithoutHarm) {
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kSource / "tests/data/fuzz/snapshot")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    (void)ParseSnapshot(bytes, entry.path());
    (void)DecodeMessage(bytes);
    ++files;
  }
  EXPECT_GE(files, 5u);
}

}  // namespace
}  // namespace leakhunt::snapshot
