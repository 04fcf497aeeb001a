// Collapsed stacks, CSV and speedscope: every name arrives whole, every value once.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "sample_profile.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using nlohmann::json;

std::string Collapsed(const Profile& profile, size_t value) {
  std::ostringstream out;
  ExportCollapsed(profile, value, out);
  return out.str();
}

TEST(ExportCollapsed, OutermostFirstSortedWithoutZeros) {
  EXPECT_EQ(Collapsed(SampleProfile(), 3),
            "(unknown) 10\n"
            "main;cache:put?\"</script><!-- 1000\n"
            "main;handle_request;Request::parse(char const*);std::vector<int, std::allocator<int> >::push_back 40960\n");
}

TEST(ExportCollapsed, FramesWithoutNamesHaveTheirAddress) {
  EXPECT_NE(Collapsed(SampleProfile(), 0).find("main;0x7f0000001000;libplain.so+0x1a2b 3\n"), std::string::npos);
}

TEST(ExportCollapsed, EqualStacksAreOneLine) {
  Profile profile = SampleProfile();
  profile.samples = {{{2, 3}, {0, 0, 1, 5}, {}}, {{2, 3}, {0, 0, 1, 7}, {{"kind", "mmap"}}}};
  EXPECT_EQ(Collapsed(profile, 3), "main;handle_request 12\n");
}

TEST(ExportCsv, QuotesWhatNeedsIt) {
  std::ostringstream out;
  ExportCsv(SampleProfile(), out);
  std::istringstream lines(out.str());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "alloc_objects,alloc_space,inuse_objects,inuse_space,kind,scope,function,file,line,module,stack\r");
  std::getline(lines, line);
  EXPECT_EQ(line.substr(0, 27), "100,409600,10,40960,heap,,\"");
  EXPECT_NE(line.find("\"main /srv/src/main.cc:10 > handle_request /srv/src/server.cc:77 > "), std::string::npos) << line;
  EXPECT_NE(out.str().find("7,7000,1,1000,heap,\"warm, up\",\"cache;put?\"\"</script><!--\",/srv/src/cache.cc,5,/srv/service,"),
            std::string::npos)
      << out.str();
  EXPECT_NE(out.str().find("\r\n2,20,1,10,,,,,,,\r\n"), std::string::npos) << out.str();
}

TEST(ExportSpeedscope, AProfileForEachValue) {
  std::ostringstream out;
  ExportSpeedscope(SampleProfile(), out);
  const json file = json::parse(out.str());
  EXPECT_EQ(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
  ASSERT_EQ(file["profiles"].size(), 4u);
  EXPECT_EQ(file["activeProfileIndex"], 3);
  const json& live = file["profiles"][3];
  EXPECT_EQ(live["type"], "sampled");
  EXPECT_EQ(live["unit"], "bytes");
  EXPECT_EQ(live["endValue"], 41'970);
  EXPECT_EQ(live["weights"], (json{40'960, 1'000, 10}));
  EXPECT_EQ(live["samples"][0], (json{3, 2, 1, 0}));  // outermost first, inlined frames kept
  EXPECT_EQ(file["profiles"][0]["unit"], "none");
}

TEST(ExportSpeedscope, EveryIndexIsAFrame) {
  std::ostringstream out;
  ExportSpeedscope(SampleProfile(), out);
  const json file = json::parse(out.str());
  const size_t frames = file["shared"]["frames"].size();
  EXPECT_EQ(file["shared"]["frames"][1]["name"], "Request::parse(char const*)");
  EXPECT_EQ(file["shared"]["frames"][1]["line"], 42);
  for (const json& profile : file["profiles"]) {
    ASSERT_EQ(profile["samples"].size(), profile["weights"].size());
    for (const json& stack : profile["samples"]) {
      ASSERT_FALSE(stack.empty());
      for (size_t frame : stack) ASSERT_LT(frame, frames);
    }
  }
}

TEST(ExportSpeedscope, NamesThatAreNotUtf8DoNotThrow) {
  Profile profile = SampleProfile();
  profile.frames[2].function = "bad\xff\xfename";
  std::ostringstream out;
  ExportSpeedscope(profile, out);
  EXPECT_TRUE(json::accept(out.str()));
}

}  // namespace
}  // namespace leakhunt::viewer
