// The flame graph page: self-contained, safe with any name, and with the right sums in its data.
#include "viewer/render/flamegraph.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "sample_profile.h"

namespace leakhunt::viewer {
namespace {

using nlohmann::json;

std::string Page(const Profile& profile, const std::string& title = "service: live bytes") {
  std::ostringstream out;
  RenderFlameGraph(profile, title, out);
  return out.str();
}

json Data(const std::string& page) {
  const std::string open = "<script id=\"data\" type=\"application/json\">";
  const size_t start = page.find(open) + open.size();
  return json::parse(page.substr(start, page.find("</script>", start) - start));
}

// Sum of each value over all nodes.
std::vector<int64_t> Sums(const json& data) {
  std::vector<int64_t> sums;
  for (const json& self : data["self"]) {
    sums.push_back(0);
    for (int64_t value : self) sums.back() += value;
  }
  return sums;
}

TEST(FlameGraph, FramesOfOneCallerAreMerged) {
  Profile profile = SampleProfile();
  profile.frames.push_back({"handle_request", "/srv/src/server.cc", 80, 3, 0, 0x1300, false});
  profile.samples.push_back({{7, 3}, {1, 1, 1, 1}, {}});
  const json data = Data(Page(profile));
  size_t handlers = 0;
  for (size_t i = 0; i < data["name"].size(); ++i) {
    if (data["names"][data["name"][i].get<size_t>()] != "handle_request") continue;
    ++handlers;
    EXPECT_EQ(data["places"][data["place"][i].get<size_t>()], "/srv/src/server.cc") << "two lines: the file alone";
  }
  EXPECT_EQ(handlers, 1u);
}

TEST(FlameGraph, NothingIsLostAndParentsComeFirst) {
  const json data = Data(Page(SampleProfile()));
  EXPECT_EQ(Sums(data), (std::vector<int64_t>{112, 416'920, 12, 41'970}));
  for (size_t i = 1; i < data["parent"].size(); ++i) EXPECT_LT(data["parent"][i], i);
}

TEST(FlameGraph, LoadsNothingAndClosesNoScriptEarly) {
  const std::string page = Page(SampleProfile(), "<img src=x onerror=alert(1)> & \"more\"");
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_NE(page.find("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;more&quot;"), std::string::npos);
  for (const char* loading : {"http://", "https://", "src=", "href=", "@import", "url("}) {
    std::string plain = page;
    const size_t title = plain.find("src=x");
    while (plain.find("src=x") != std::string::npos) plain.erase(plain.find("src=x"), 5);
    EXPECT_NE(title, std::string::npos);
    EXPECT_EQ(plain.find(loading), std::string::npos) << loading;
  }
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_EQ(Data(page)["names"].size(), 8u);
}

TEST(FlameGraph, BigProfilesLoseOnlyWhatCannotBeSeen) {
  Profile profile = SampleProfile();
  profile.samples.clear();
  for (uint32_t i = 0; i < 320'000; ++i) {
    profile.frames.push_back({'f' + std::to_string(i), "", 0, 0, 0, i, false});
    profile.samples.push_back({{static_cast<uint32_t>(profile.frames.size() - 1), 3}, {1, 1, 1, i == 0 ? 1'000'000 : 1}, {}});
  }
  const json data = Data(Page(profile));
  EXPECT_LT(data["name"].size(), 300'000u);
  EXPECT_EQ(data["leftOut"], 320'000 + 2 - static_cast<int64_t>(data["name"].size()));
  EXPECT_EQ(Sums(data), (std::vector<int64_t>{320'000, 320'000, 320'000, 1'319'999}));
}

TEST(FlameGraph, AnEmptyProfileIsAPage) {
  const json data = Data(Page(Profile()));
  EXPECT_EQ(data["name"].size(), 1u);
}

}  // namespace
}  // namespace leakhunt::viewer
