// The JSON of each command: every field users were promised, with the values the sample recording gives.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

namespace leakhunt::testing {
namespace {

using Json = nlohmann::ordered_json;

class ReportJson : public ::testing::Test {
 protected:
  void SetUp() override { recording_ = RecordSample(directory_.Path(), 5); }

  Json Ask(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--format", "json", "--symbols", "off"});
    Outcome outcome = Report(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
  static void ExpectFields(const Json& json, std::initializer_list<const char*> fields) {
    for (const char* field : fields) EXPECT_TRUE(json.contains(field)) << field << " is missing in " << json.dump().substr(0, 200);
  }
  static void ExpectEstimate(const Json& e) {
    ExpectFields(e, {"value", "low", "high"});
    EXPECT_LE(e["low"].get<double>(), e["value"].get<double>());
    EXPECT_GE(e["high"].get<double>(), e["value"].get<double>());
  }

  TemporaryDirectory directory_;
  std::filesystem::path recording_;
};

TEST_F(ReportJson, TopSitesHasTheContractsFields) {
  Json json = Ask({"top-sites", recording_});
  EXPECT_EQ(json["schema"], "leakhunt/top-sites/1");
  ExpectFields(json, {"process", "snapshot", "sampling", "losses", "inconsistency", "totals", "sites"});
  ExpectFields(json["process"], {"pid", "parent_pid", "name", "command", "started", "ended", "end", "exit_status"});
  ExpectFields(json["snapshot"], {"number", "time", "reason"});
  ExpectFields(json["sampling"], {"mode", "mean_bytes", "budget_percent", "measured_overhead_percent"});
  ExpectFields(json["losses"], {"records", "bytes", "gaps"});
  ExpectFields(json["totals"], {"live_bytes", "live_count", "total_bytes", "total_count", "open_handles"});
  for (const char* total : {"live_bytes", "live_count", "total_bytes", "total_count"}) ExpectEstimate(json["totals"][total]);
  ASSERT_EQ(json["sites"].size(), 2u);
  for (const Json& site : json["sites"]) {
    ExpectFields(site, {"rank", "kind", "live_bytes", "live_count", "total_bytes", "total_count", "growth_bytes_per_s",
                        "first_seen", "last_seen", "oldest_age_s", "verdict", "stack"});
    for (const Json& frame : site["stack"]) {
      ExpectFields(frame, {"function", "file", "line", "column", "module", "build_id", "offset", "inlined"});
    }
  }
}

TEST_F(ReportJson, TopSitesHasTheSamplesValues) {
  Json json = Ask({"top-sites", recording_});
  EXPECT_EQ(json["process"]["pid"], 4242);
  EXPECT_EQ(json["process"]["command"], Json({"/opt/shop/bin/server", "--port", "8080", ""}));
  EXPECT_EQ(json["process"]["started"], 1'700'000'000);
  EXPECT_EQ(json["process"]["end"], "signal");
  EXPECT_EQ(json["snapshot"]["number"], 5);
  EXPECT_EQ(json["sampling"]["mode"], "sampled");
  EXPECT_EQ(json["losses"]["gaps"][0]["to"], 1'700'000'000.2);
  EXPECT_EQ(json["totals"]["live_bytes"]["value"], 5'008'192);
  EXPECT_EQ(json["totals"]["open_handles"], 12);
  const Json& site = json["sites"][0];
  EXPECT_EQ(site["rank"], 1);
  EXPECT_EQ(site["kind"], "heap");
  EXPECT_EQ(site["live_bytes"]["value"], 5'000'000);
  EXPECT_LT(site["live_bytes"]["low"], 5'000'000);
  EXPECT_NEAR(site["growth_bytes_per_s"].get<double>(), 1'000'000 / 60.0, 0.01);
  EXPECT_EQ(site["oldest_age_s"], 298);
  EXPECT_EQ(site["stack"][0]["module"], "/opt/shop/bin/server");
  EXPECT_EQ(site["stack"][0]["build_id"], "aabbccdd00112233");
  EXPECT_EQ(site["stack"][0]["offset"], 0x1230 - 1);
  EXPECT_EQ(json["sites"][1]["kind"], "mmap");
  EXPECT_EQ(json["sites"][1]["live_bytes"], Json({{"value", 8192}, {"low", 8192}, {"high", 8192}}));
  EXPECT_EQ(json["sites"][1]["stack"][0]["offset"], 0x7fab00001000);
}

TEST_F(ReportJson, RunningProcessHasNoEnd) {
  snapshot::Snapshot s = SampleSnapshot();
  s.process.end = snapshot::End::kRunning;
  s.process.ended_ms = 0;
  s.process.exit_status.reset();
  Json json = Ask({"top-sites", Record(directory_.Path() / "running", "x-1-1", {s})});
  EXPECT_EQ(json["process"]["end"], "running");
  EXPECT_TRUE(json["process"]["ended"].is_null());
  EXPECT_TRUE(json["process"]["exit_status"].is_null());
}

TEST_F(ReportJson, SortByGrowthPutsTheLeakFirst) {
  std::vector<snapshot::Snapshot> snapshots;
  for (uint32_t i = 1; i <= 5; ++i) {
    snapshot::Snapshot s = SampleSnapshot(i);
    s.sites[1].live_bytes.value = 50'000'000;  // a large table that does not grow
    snapshots.push_back(s);
  }
  auto recording = Record(directory_.Path() / "table", "x-1-1", snapshots);
  EXPECT_EQ(Ask({"top-sites", recording})["sites"][0]["kind"], "mmap");
  EXPECT_EQ(Ask({"top-sites", recording, "--sort", "growth"})["sites"][0]["kind"], "heap");
}

TEST_F(ReportJson, GroupsSumTheirSites) {
  Json json = Ask({"top-sites", recording_, "--by", "type"});
  ASSERT_EQ(json["sites"].size(), 2u);
  EXPECT_EQ(json["sites"][0]["group"], "heap");
  json = Ask({"top-sites", recording_, "--by", "thread"});
  double sum = 0;
  for (const Json& site : json["sites"]) sum += site["live_bytes"]["value"].get<double>();
  EXPECT_NEAR(sum, 5'008'192, 1);
  EXPECT_TRUE(json["sites"][0]["total_bytes"].is_null());
  json = Ask({"top-sites", recording_, "--by", "module"});
  EXPECT_EQ(json["sites"][0]["group"], "/opt/shop/bin/server");
  json = Ask({"top-sites", recording_, "--by", "scope"});
  EXPECT_EQ(json["sites"][0]["group"], "checkout");
}

TEST_F(ReportJson, AnotherSnapshotIsChosenByNumber) {
  EXPECT_EQ(Ask({"top-sites", recording_, "--snapshot", "2"})["snapshot"]["number"], 2);
  EXPECT_EQ(Ask({"top-sites", recording_, "--snapshot", "first"})["snapshot"]["number"], 1);
  EXPECT_EQ(Ask({"top-sites", recording_ / "snapshot-000003.lhs"})["snapshot"]["number"], 3);
}

TEST_F(ReportJson, HandlesHasTheContractsFields) {
  Json json = Ask({"handles", recording_});
  EXPECT_EQ(json["schema"], "leakhunt/handles/1");
  ExpectFields(json, {"process", "snapshot", "losses", "totals", "sites", "untracked"});
  ExpectFields(json["totals"], {"open", "untracked", "inherited", "limit", "by_type"});
  EXPECT_EQ(json["totals"]["open"], 8);
  EXPECT_EQ(json["totals"]["untracked"], 1);
  EXPECT_EQ(json["totals"]["inherited"], 3);
  EXPECT_EQ(json["totals"]["limit"], 1024);
  EXPECT_EQ(json["totals"]["by_type"]["tcp"], 8);
  ASSERT_EQ(json["sites"].size(), 1u);
  const Json& site = json["sites"][0];
  ExpectFields(site, {"rank", "type", "open", "opened", "closed", "oldest_age_s", "growth_per_s", "verdict", "examples", "stack"});
  EXPECT_EQ(site["type"], "tcp");
  EXPECT_EQ(site["open"], 8);
  EXPECT_EQ(site["opened"], 15);
  EXPECT_EQ(site["closed"], 7);
  EXPECT_NEAR(site["growth_per_s"].get<double>(), 1 / 60.0, 0.001);
  bool found = false;
  for (const Json& example : site["examples"]) {
    ExpectFields(example, {"fd", "label", "age_s"});
    found = found || (example["fd"] == 7 && example["age_s"] == 295);
  }
  EXPECT_TRUE(found);
}

TEST_F(ReportJson, InheritedDescriptorsAreNotCalledUntracked) {
  Json json = Ask({"handles", recording_});
  ASSERT_EQ(json["untracked"].size(), 1u);
  EXPECT_EQ(json["untracked"][0]["fd"], 9);
  EXPECT_EQ(json["untracked"][0]["type"], "pipe");
  EXPECT_EQ(json["inherited"][0]["fd"], 0);
}

TEST_F(ReportJson, MinimumAgeKeepsTheOldHandlesOnly) {
  snapshot::Snapshot s = SampleSnapshot(10);
  s.handle_sites[0].open = 4;
  s.handle_sites[0].births_ms = {s.time_ms - 500'000, s.time_ms - 400'000, s.time_ms - 2000, s.time_ms - 1000};
  auto recording = Record(directory_.Path() / "old", "x-1-1", {s});
  EXPECT_EQ(Ask({"handles", recording, "--min-age", "5m"})["sites"][0]["open"], 2);
  EXPECT_EQ(Ask({"handles", recording, "--min-age", "1h"})["sites"].size(), 0u);
}

TEST_F(ReportJson, DiffSaysWhatGrew) {
  Json json = Ask({"diff", "2", "4", recording_});
  EXPECT_EQ(json["schema"], "leakhunt/diff/1");
  EXPECT_EQ(json["seconds"], 120);
  ASSERT_EQ(json["sites"].size(), 1u);
  EXPECT_EQ(json["sites"][0]["live_bytes_delta"]["value"], 2'000'000);
  EXPECT_EQ(json["sites"][0]["change"], "grown");
  EXPECT_EQ(json["sites"][0]["matched_by"], "content");
  ASSERT_EQ(json["handles"].size(), 1u);
  EXPECT_EQ(json["handles"][0]["open_delta"], 2);
  EXPECT_EQ(Ask({"diff", recording_})["sites"][0]["live_bytes_delta"]["value"], 4'000'000);
  EXPECT_EQ(Ask({"diff", recording_ / "snapshot-000004.lhs", recording_ / "snapshot-000002.lhs"})["sites"][0]["change"],
            "shrunk");
}

// The same function at another address in another build: names are all that is left to match by. JIT code carries its
// names in a map beside the snapshots.
TEST_F(ReportJson, DiffOfTwoVersionsMatchesByFunctionNames) {
  auto version = [&](const char* name, uint64_t address, double live) {
    snapshot::Snapshot s = SampleSnapshot();
    s.frames = {{snapshot::kNoModule, address, snapshot::kFrameExact}};
    s.stacks = {{}, {{0}, false, address}};
    s.sites.resize(1);
    s.sites[0].live_bytes = {1, live, 0, 0, 0, 0};
    s.handle_sites.clear();
    auto recording = Record(directory_.Path() / name, "x-1-1", {s});
    std::FILE* map = std::fopen((recording / "perf-4242.map").c_str(), "w");
    std::fprintf(map, "%lx 100 handleRequest\n", static_cast<unsigned long>(address));
    std::fclose(map);
    return recording;
  };
  auto before = version("v1", 0x7f0000001000, 1000), after = version("v2", 0x7f0000555000, 5000);
  Outcome outcome = Report({"diff", before, after, "--format", "json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  Json json = Json::parse(outcome.out);
  ASSERT_EQ(json["sites"].size(), 1u) << outcome.out;
  EXPECT_EQ(json["sites"][0]["matched_by"], "names");
  EXPECT_EQ(json["sites"][0]["live_bytes_delta"]["value"], 4000);
  EXPECT_EQ(json["sites"][0]["stack"][0]["function"], "handleRequest");
}

TEST_F(ReportJson, VitalsHasAPointASnapshotAndTheLimits) {
  Json json = Json::parse(Report({"vitals", recording_, "--format", "json"}).out, nullptr, false);
  EXPECT_EQ(json["schema"], "leakhunt/vitals/1");
  ASSERT_EQ(json["points"].size(), 5u);
  ExpectFields(json["points"][0], {"time", "rss_bytes", "pss_bytes", "heap_live_bytes", "allocator_slack_bytes", "mmap_bytes",
                                   "stack_bytes", "file_bytes", "open_handles", "threads"});
  EXPECT_EQ(json["points"][4]["rss_bytes"], 55'000'000);
  EXPECT_EQ(json["limits"]["cgroup_bytes"], 256'000'000);
  EXPECT_EQ(json["limits"]["open_handles"], 1024);
  bool descriptors = false;
  for (const Json& e : json["time_to_exhaustion"]) {
    if (e["what"] != "descriptors (RLIMIT_NOFILE)") continue;
    descriptors = true;
    EXPECT_NEAR(e["seconds"].get<double>(), (1024 - 17) * 60.0, 1);
  }
  EXPECT_TRUE(descriptors);
}

TEST_F(ReportJson, ProcessesSayHowEachEnded) {
  Outcome outcome = Report({"processes", directory_.Path(), "--format", "json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["schema"], "leakhunt/processes/1");
  ASSERT_EQ(json["processes"].size(), 1u);
  EXPECT_EQ(json["processes"][0]["pid"], 4242);
  EXPECT_EQ(json["processes"][0]["end"], "signal");
  EXPECT_EQ(json["processes"][0]["signal"], 9);
  EXPECT_EQ(json["processes"][0]["duration_s"], 3600);
  EXPECT_EQ(json["processes"][0]["snapshots"], 5);
  EXPECT_EQ(json["processes"][0]["losses"]["records"], 3);
}

TEST_F(ReportJson, AllSumsTheProcessesOfTheRun) {
  auto worker = [](int pid, double live) {
    snapshot::Snapshot s = SampleSnapshot();
    s.process.pid = pid;
    s.process.image = 0;
    s.process.replaced_by_exec = false;
    s.sites[0].live_bytes = {1, live, 0, 0, 0, 0};
    return s;
  };
  auto run = directory_.Path() / "prefork";
  Record(run, "w-1-1", {worker(1, 1000)});
  Record(run, "w-2-1", {worker(2, 200)});
  Record(run, "w-3-1", {worker(3, 30)});
  Json json = Ask({"top-sites", run, "--all"});
  EXPECT_EQ(json["sites"].size(), 2u);
  double heap = 0;
  for (const Json& site : json["sites"]) heap += site["kind"] == "heap" ? site["live_bytes"]["value"].get<double>() : 0;
  EXPECT_EQ(heap, 1230);
  EXPECT_EQ(json["totals"]["open_handles"], 3 * 8);
}

TEST_F(ReportJson, NamesThatAreNotTextDoNotBreakIt) {
  snapshot::Snapshot s = SampleSnapshot();
  s.process.name = "bad\xff\xfe\x01name";
  s.handle_sites[0].examples[0].label = std::string("\xc3\x28\0z", 4);
  auto recording = Record(directory_.Path() / "bytes", "x-1-1", {s});
  EXPECT_TRUE(Ask({"top-sites", recording}).is_object());
  EXPECT_TRUE(Ask({"handles", recording}).is_object());
}

}  // namespace
}  // namespace leakhunt::testing
