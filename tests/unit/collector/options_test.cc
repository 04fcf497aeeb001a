// The command line of leakhunt-collect.
#include "collector/options.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "collector/base/quantity.h"
#include "collector/track_list.h"

namespace leakhunt {
namespace {

Result<Invocation> Parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "leakhunt-collect");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return ParseInvocation(static_cast<int>(arguments.size()), pointers.data());
}

TEST(Quantity, DurationsSizesAndPercentages) {
  EXPECT_EQ(*ParseDuration("500ms"), 500);
  EXPECT_EQ(*ParseDuration("30s"), 30'000);
  EXPECT_EQ(*ParseDuration("1.5h"), 5'400'000);
  EXPECT_EQ(*ParseDuration("2"), 2000);
  for (const char* bad : {"", "s", "-1s", "5x", "0s", "1e9d", "nan", "inf"}) EXPECT_FALSE(ParseDuration(bad)) << bad;
  EXPECT_EQ(*ParseSize("2G"), uint64_t{2} << 30);
  EXPECT_EQ(*ParseSize("1.5MiB"), 1'572'864u);
  EXPECT_EQ(*ParseSize("17"), 17u);
  for (const char* bad : {"", "G", "-5", "5Q"}) EXPECT_FALSE(ParseSize(bad)) << bad;
  EXPECT_EQ(*ParseSizeList("4G,2G,4G"), (std::vector<uint64_t>{uint64_t{2} << 30, uint64_t{4} << 30}));
  EXPECT_FALSE(ParseSizeList("2G,"));
  EXPECT_EQ(*ParsePercent("1%"), 10'000u);
  EXPECT_EQ(*ParsePercent("0.5"), 5'000u);
  for (const char* bad : {"", "%", "0", "101%", "x"}) EXPECT_FALSE(ParsePercent(bad)) << bad;
  EXPECT_EQ(*ParseTrack("heap,handles"), uint32_t{protocol::kTrackHeap | protocol::kTrackHandles});
  EXPECT_FALSE(ParseTrack("heap,cows"));
}

// LEAKHUNT_OPTIONS is `text` while this lives.
struct OptionsVariable {
  explicit OptionsVariable(const char* text) { setenv("LEAKHUNT_OPTIONS", text, 1); }
  ~OptionsVariable() { unsetenv("LEAKHUNT_OPTIONS"), SetVerbosity(Verbosity::kNormal); }
};

TEST(Options, TheVariableComesBeforeTheCommandLine) {
  OptionsVariable variable("--max-disk 10M --on-alert 'mail root' --output /from/variable");
  auto invocation = Parse({"--output", "/from/line", "--quiet"});
  ASSERT_TRUE(invocation);
  EXPECT_EQ(invocation->options.max_disk_bytes, uint64_t{10} << 20);
  EXPECT_EQ(invocation->options.on_alert, "mail root");
  EXPECT_EQ(invocation->options.output, "/from/line");
}

TEST(Options, OfTheVariableEachWrongOptionIsLeftOutAlone) {
  for (const char* wrong : {"--max-dsk 1M", "--interval soon", "word", "--pid 1", "--client-fd 3", "--help", "--version", "--duration"}) {
    OptionsVariable variable((std::string(wrong) + " --max-disk 10M").c_str());
    auto invocation = Parse({"--quiet", "--", "true"});
    ASSERT_TRUE(invocation && invocation->run) << wrong;
    EXPECT_EQ(invocation->options.max_disk_bytes, uint64_t{10} << 20) << wrong;
    EXPECT_EQ(invocation->options.attach_pid, 0);
    EXPECT_EQ(invocation->options.client_fd, -1);
  }
}

TEST(Options, ABadVariableIsLeftOutAndNotPassedOn) {
  for (const char* name : {"LEAKHUNT_BUDGET", "LEAKHUNT_SAMPLE_BYTES", "LEAKHUNT_TRACK", "LEAKHUNT_CHILDREN"}) {
    setenv(name, "nonsense", 1);
    auto invocation = Parse({"--quiet", "--", "true"});
    SetVerbosity(Verbosity::kNormal);
    EXPECT_TRUE(invocation && invocation->run) << name;
    EXPECT_EQ(std::getenv(name), nullptr);
  }
}

TEST(Options, TheCommandLineStaysStrict) {
  for (const char* wrong : {"--budget=lots", "--no-such-option", "--wait=ever"}) {
    auto invocation = Parse({wrong, "--", "true"});
    ASSERT_FALSE(invocation) << wrong;
    EXPECT_EQ(invocation.error().exit_code, 125);
  }
}

TEST(Options, EverythingAfterTheSeparatorIsTheCommands) {
  auto invocation =
      Parse({"--interval", "5s", "--sample-bytes=1", "--output", "/d", "--", "prog", "--interval", "--", "x"});
  ASSERT_TRUE(invocation) << invocation.error().message;
  EXPECT_TRUE(invocation->run);
  EXPECT_EQ(invocation->options.command, (std::vector<std::string>{"prog", "--interval", "--", "x"}));
  EXPECT_EQ(invocation->options.interval_ms, 5000);
  EXPECT_EQ(invocation->options.sample_bytes, 1u);
  EXPECT_EQ(invocation->options.output, "/d");
  EXPECT_TRUE(invocation->options.output_given);
}

TEST(Options, DefaultsAreTheContracts) {
  unsetenv("LEAKHUNT_OUTPUT");
  unsetenv("LEAKHUNT_INTERVAL");
  auto invocation = Parse({});
  ASSERT_TRUE(invocation);
  EXPECT_EQ(invocation->options.output, "leakhunt-data");
  EXPECT_FALSE(invocation->options.interval_ms);
  EXPECT_EQ(invocation->options.max_disk_bytes, uint64_t{1} << 30);
}

TEST(Options, TheEnvironmentGivesDefaultsAndOptionsWin) {
  setenv("LEAKHUNT_OUTPUT", "/from/environment", 1);
  setenv("LEAKHUNT_INTERVAL", "7s", 1);
  EXPECT_EQ(Parse({})->options.output, "/from/environment");
  EXPECT_EQ(Parse({})->options.interval_ms, 7000);
  EXPECT_EQ(Parse({"--output", "x", "--interval", "1s"})->options.output, "x");
  EXPECT_EQ(Parse({"--output", "x", "--interval", "1s"})->options.interval_ms, 1000);
  setenv("LEAKHUNT_INTERVAL", "soon", 1);
  SetVerbosity(Verbosity::kQuiet);
  auto invocation = Parse({"--quiet"});
  ASSERT_TRUE(invocation) << "a bad variable costs a line, not the run";
  EXPECT_FALSE(invocation->options.interval_ms);
  unsetenv("LEAKHUNT_OUTPUT");
  unsetenv("LEAKHUNT_INTERVAL");
  SetVerbosity(Verbosity::kNormal);
}

TEST(Options, MistakesAreOneLineAndTheRightStatus) {
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
  };
  for (const Case& bad : std::vector<Case>{{{"--bogus"}, 2},
                                           {{"program"}, 2},
                                           {{"--interval"}, 2},
                                           {{"--interval", "x"}, 2},
                                           {{"--pid", "0"}, 2},
                                           {{"--quiet", "--verbose"}, 2},
                                           {{"--bogus", "--", "true"}, 125},
                                           {{"--pid", "1", "--", "true"}, 125},
                                           {{"--"}, 125}}) {
    auto invocation = Parse(bad.arguments);
    ASSERT_FALSE(invocation) << bad.arguments[0];
    EXPECT_EQ(invocation.error().exit_code, bad.exit_code) << invocation.error().message;
    EXPECT_EQ(invocation.error().message.find('\n'), std::string::npos) << invocation.error().message;
  }
}

}  // namespace
}  // namespace leakhunt
