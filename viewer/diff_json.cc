// JSON of diff.
#include "viewer/diff_report.h"
#include "viewer/render/json_parts.h"
#include "viewer/site_rows.h"

namespace leakhunt::viewer {
namespace {

Json SideJson(const ChosenSnapshot& side) {
  const snapshot::Snapshot& s = side.snapshot;
  SiteRow sum = SumOfSites(s);
  const snapshot::HandleTotals& handles = s.handle_totals;
  return {{"file", side.recording.files.back().string()},
          {"process", ProcessJson(s.process)},
          {"snapshot", SnapshotJson(s)},
          {"sampling", SamplingJson(s.sampling)},
          {"losses", LossesJson(s.losses)},
          {"totals",
           {{"live_bytes", EstimateJson(sum.live_bytes)},
            {"live_count", EstimateJson(sum.live_count)},
            {"open_handles", handles.open + handles.untracked + handles.inherited}}}};
}

const char* Change(const DiffRow& row) {
  if (row.fresh) return "new";
  if (row.gone) return "gone";
  double delta = row.Delta() != 0 ? row.Delta() : row.CountDelta();
  return delta > 0 ? "grown" : "shrunk";
}

Json MemoryJson(const DiffRow& row, size_t rank, double seconds, const ResolvedStack& stack) {
  return {{"rank", rank},
          {"kind", row.type},
          {"change", Change(row)},
          {"live_bytes_before", EstimateJson(row.before)},
          {"live_bytes_after", EstimateJson(row.after)},
          {"live_bytes_delta", EstimateJson(DeltaLimits(row.before, row.after))},
          {"live_count_delta", EstimateJson(DeltaLimits(row.count_before, row.count_after))},
          {"growth_bytes_per_s", seconds > 0 ? NumberJson(row.Delta() / seconds) : Json(nullptr)},
          {"matched_by", row.by_names ? "names" : "content"},
          {"stack", StackJson(stack)}};
}

Json HandleJson(const DiffRow& row, size_t rank, double seconds, const ResolvedStack& stack) {
  return {{"rank", rank},
          {"type", row.type},
          {"change", Change(row)},
          {"open_before", NumberJson(row.before.value)},
          {"open_after", NumberJson(row.after.value)},
          {"open_delta", NumberJson(row.Delta())},
          {"growth_per_s", seconds > 0 ? NumberJson(row.Delta() / seconds) : Json(nullptr)},
          {"matched_by", row.by_names ? "names" : "content"},
          {"stack", StackJson(stack)}};
}

Json FixesJson(DiffReport& report) {
  Json fixes = Json::array();
  for (const FixedSite& site : report.fixes.sites) {
    fixes.push_back({{"state", FixStateName(site.state)},
                     {"kind", site.type},
                     {"rate_before_per_s", EstimateJson(site.rate_before)},
                     {"rate_after_per_s", EstimateJson(site.rate_after)},
                     {"at_most_per_s", NumberJson(site.at_most_per_s)},
                     {"verdict_after", site.verdict_after.empty() ? Json(nullptr) : Json(site.verdict_after)},
                     {"needs", site.needs.empty() ? Json(nullptr) : Json(site.needs)},
                     {"stack", StackJson(report.before_symbols->Stack(site.stack))}});
  }
  return fixes;
}

}  // namespace

std::string DiffJson(DiffReport& report, size_t rows_shown) {
  Json sites = Json::array(), handles = Json::array();
  for (size_t i = 0; i < rows_shown; ++i) {
    const DiffRow& row = report.rows[i];
    Json& list = row.handle ? handles : sites;
    auto make = row.handle ? HandleJson : MemoryJson;
    list.push_back(make(row, list.size() + 1, report.seconds, report.StackOf(row)));
  }
  return Dump({{"schema", "leakhunt/diff/1"},
               {"before", SideJson(report.before)},
               {"after", SideJson(report.after)},
               {"seconds", NumberJson(report.seconds)},
               {"sites", std::move(sites)},
               {"handles", std::move(handles)},
               {"fixes", FixesJson(report)}});
}

}  // namespace leakhunt::viewer
