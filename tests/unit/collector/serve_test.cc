// The HTTP side of the collector that needs no network: addresses, metrics, the page.
#include <gtest/gtest.h>

#include "collector/serve/http_server.h"
#include "collector/serve/metrics.h"

namespace leakhunt::serve {
namespace {

TEST(HttpAddress, LoopbackUnlessToldOtherwise) {
  EXPECT_EQ(ParseHttpAddress("8080")->host, "127.0.0.1");
  EXPECT_EQ(ParseHttpAddress(":8080")->host, "127.0.0.1");
  EXPECT_EQ(ParseHttpAddress("0.0.0.0:80")->host, "0.0.0.0");
  EXPECT_EQ(ParseHttpAddress("[::1]:8080")->host, "::1");
  EXPECT_EQ(ParseHttpAddress("[::1]:8080")->port, 8080);
  for (const char* bad : {"", ":", "x", "unix:", "1.2.3.4:", "1.2.3.4:x", ":0", ":65536", ":80x"})
    EXPECT_FALSE(ParseHttpAddress(bad)) << bad;
}

std::vector<ProcessRow> Rows() {
  ProcessRow running;
  running.pid = 7;
  running.name = "a\"b\\<c>";
  running.state = "running";
  running.rss_bytes = 2048;
  ProcessRow ended = running;
  ended.pid = 8;
  ended.state = "exit";
  return {running, ended};
}

TEST(Metrics, EveryRunningProcessIsASampleWithItsNameEscaped) {
  std::string text = Metrics(Rows());
  EXPECT_NE(text.find("# TYPE leakhunt_rss_bytes gauge\n"), std::string::npos);
  EXPECT_NE(text.find("leakhunt_rss_bytes{pid=\"7\",name=\"a\\\"b\\\\<c>\"} 2048\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("pid=\"8\""), std::string::npos) << "ended processes are no samples";
}

TEST(Page, NamesAreTextNotMarkup) {
  std::string page = Page(Rows());
  EXPECT_EQ(page.find("<c>"), std::string::npos);
  EXPECT_NE(page.find("&lt;c&gt;"), std::string::npos);
  EXPECT_NE(page.find("/api/processes/8/findings"), std::string::npos);
  EXPECT_NE(page.find("2.0 KiB"), std::string::npos);
}

TEST(ReadRows, NoRecordingsNoRows) { EXPECT_TRUE(ReadRows("/nonexistent").empty()); }

}  // namespace
}  // namespace leakhunt::serve
