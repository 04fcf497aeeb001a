// Formats that other programs open: heaptrack's (read by heaptrack_print), Firefox Profiler's, SQLite's.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sample_profile.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using nlohmann::json;

std::string Heaptrack(const Profile& profile) {
  std::ostringstream out;
  ExportHeaptrack(profile, out);
  return out.str();
}

std::string Written(const std::string& name, const std::string& bytes) {
  const std::string file = testing::TempDir() + name;
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

std::string HeaptrackPrint(const std::string& file) {
  FILE* pipe = popen(("heaptrack_print " + file + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  while (size_t got = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}

TEST(ExportHeaptrack, HeaptrackPrintFindsTheSums) {
  if (std::system("command -v heaptrack_print >/dev/null 2>&1") != 0) GTEST_SKIP() << "heaptrack is not installed";
  const std::string file = Written("export_test.heaptrack", Heaptrack(SampleProfile()));
  const std::string text = HeaptrackPrint(file);
  EXPECT_EQ(text.find("failed to parse"), std::string::npos) << text;
  EXPECT_NE(text.find("Debuggee command was: ./service --port=80"), std::string::npos) << text;
  EXPECT_NE(text.find("calls to allocation functions: 112"), std::string::npos) << text;  // 100 + 7 + 3 + 2
  EXPECT_NE(text.find("total memory leaked: 41.97K"), std::string::npos) << text;         // 40,960 + 1,000 + 10
  EXPECT_NE(text.find("temporary memory allocations: 0"), std::string::npos) << text;
  EXPECT_NE(text.find("Request::parse(char const*)"), std::string::npos) << text;
  EXPECT_NE(text.find("in /usr/lib/libplain.so"), std::string::npos) << text;
  std::remove(file.c_str());
}

// 10^12 allocations: bytes stay, calls are scaled, and the file says so.
TEST(ExportHeaptrack, HugeCountsAreScaled) {
  Profile profile = SampleProfile();
  profile.samples = {{{2, 3}, {1'000'000'000'000, 64'000'000'000'000, 3'000'000, 96'000'000}, {}}};
  const std::string text = Heaptrack(profile);
  EXPECT_LT(text.size(), 40u << 20);
  EXPECT_NE(text.find("# one event stands for 500000 allocations"), std::string::npos);
  if (std::system("command -v heaptrack_print >/dev/null 2>&1") != 0) GTEST_SKIP() << "heaptrack is not installed";
  const std::string file = Written("export_scaled_test.heaptrack", text);
  EXPECT_NE(HeaptrackPrint(file).find("total memory leaked: 96.00M"), std::string::npos);
  std::remove(file.c_str());
}

TEST(ExportHeaptrack, ForeignLineEndsMakeNoLines) {
  Profile profile = SampleProfile();
  profile.command = {"a\nx evil"};
  EXPECT_EQ(Heaptrack(profile).find("\nx evil"), std::string::npos);
}

TEST(ExportHeaptrack, HandlesCountAsOneByte) {
  Profile profile = SampleProfile();
  profile.value_types = {{"opened_handles", "count", "all"}, {"open_handles", "count", "open"}};
  profile.samples = {{{2, 3}, {9, 4}, {{"type", "tcp"}}}};
  const std::string text = Heaptrack(profile);
  size_t births = 0, deaths = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) births += line[0] == '+', deaths += line[0] == '-';
  EXPECT_EQ(births, 9u);
  EXPECT_EQ(deaths, 5u);
}

json Firefox(const Profile& profile) {
  std::ostringstream out;
  ExportFirefox(profile, out);
  return json::parse(out.str());
}

TEST(ExportFirefox, AThreadForEachValueTheDefaultFirst) {
  const json file = Firefox(SampleProfile());
  EXPECT_EQ(file["meta"]["preprocessedProfileVersion"], 47);
  ASSERT_EQ(file["threads"].size(), 4u);
  const json& live = file["threads"][0];
  EXPECT_EQ(live["name"], "live bytes");
  EXPECT_EQ(live["isMainThread"], true);
  EXPECT_EQ(live["nativeAllocations"]["weightType"], "bytes");
  EXPECT_EQ(live["nativeAllocations"]["weight"], (json{40'960, 1'000, 10}));
  EXPECT_EQ(file["threads"][1]["samples"]["weight"], (json{10, 1, 1}));
  EXPECT_EQ(file["threads"][1]["samples"]["weightType"], "samples");
}

// The stack of the first sample, read back from leaf to root through all tables.
TEST(ExportFirefox, StacksReadBackWhole) {
  const json file = Firefox(SampleProfile());
  const json& thread = file["threads"][0];
  std::vector<std::string> names;
  for (json at = thread["nativeAllocations"]["stack"][0]; !at.is_null(); at = thread["stackTable"]["prefix"][at.get<size_t>()]) {
    const size_t frame = thread["stackTable"]["frame"][at.get<size_t>()];
    const size_t function = thread["frameTable"]["func"][frame];
    names.push_back(thread["stringArray"][thread["funcTable"]["name"][function].get<size_t>()]);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"std::vector<int, std::allocator<int> >::push_back",
                                             "Request::parse(char const*)", "handle_request", "main"}));
}

TEST(ExportFirefox, EveryColumnIsAsLongAsItsTable) {
  const json profile = Firefox(SampleProfile());
  for (const json& thread : profile["threads"]) {
    for (const char* table : {"stackTable", "frameTable", "funcTable", "resourceTable", "samples", "markers"}) {
      for (const auto& [name, column] : thread[table].items()) {
        if (!column.is_array()) continue;
        EXPECT_EQ(column.size(), thread[table]["length"].get<size_t>()) << table << '.' << name;
      }
    }
  }
}

std::string Ask(sqlite3* database, const char* question) {
  std::string answer;
  char* error = nullptr;
  auto row = [](void* text, int columns, char** values, char**) {
    for (int i = 0; i < columns; ++i) {
      *static_cast<std::string*>(text) += std::string(i == 0 ? "" : "|") + (values[i] == nullptr ? "NULL" : values[i]);
    }
    *static_cast<std::string*>(text) += '\n';
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, question, row, &answer, &error), SQLITE_OK) << error;
  return answer;
}

TEST(ExportSqlite, QuestionsAreAnswered) {
  std::ostringstream out;
  ASSERT_TRUE(ExportSqlite(SampleProfile(), out));
  const std::string file = Written("export_test.sqlite", out.str());
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  EXPECT_EQ(Ask(database, "PRAGMA integrity_check"), "ok\n");
  EXPECT_EQ(Ask(database, "SELECT sum(inuse_space), sum(alloc_objects) FROM site"), "41970|112\n");
  EXPECT_EQ(Ask(database, "SELECT function, module, inuse_space FROM site_place ORDER BY inuse_space DESC LIMIT 1"),
            "std::vector<int, std::allocator<int> >::push_back|/srv/service|40960\n");
  EXPECT_EQ(Ask(database, "SELECT site.id, alloc_space FROM site JOIN site_frame ON site = site.id JOIN frame ON "
                          "frame.id = frame WHERE function = 'libplain.so+0x1a2b'"),
            "2|300\n");
  EXPECT_EQ(Ask(database, "SELECT inuse_space FROM site JOIN site_label ON site = site.id WHERE key = 'scope' AND value = 'warm, up'"),
            "1000\n");
  EXPECT_EQ(Ask(database, "SELECT name, command, pid FROM process"), "service|./service --port=80|42\n");
  sqlite3_close(database);
  std::remove(file.c_str());
}

}  // namespace
}  // namespace leakhunt::viewer
