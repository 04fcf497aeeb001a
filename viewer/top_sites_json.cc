#include "viewer/top_sites_json.h"

#include "viewer/render/json_parts.h"

namespace leakhunt::viewer {
namespace {

Json TotalsJson(const snapshot::Snapshot& s) {
  SiteRow sum = SumOfSites(s);
  const snapshot::HandleTotals& handles = s.handle_totals;
  return {{"live_bytes", EstimateJson(sum.live_bytes)},
          {"live_count", EstimateJson(sum.live_count)},
          {"total_bytes", EstimateJson(sum.total_bytes)},
          {"total_count", EstimateJson(sum.total_count)},
          {"open_handles", handles.open + handles.untracked + handles.inherited}};
}

Json SiteJson(const SiteRow& row, size_t rank, const snapshot::Snapshot& s, const ResolvedStack& stack) {
  Json json = {{"rank", rank}, {"kind", snapshot::SiteKindName(row.kind)}};
  if (!row.group.empty()) json["group"] = row.group;
  if (!row.scope.empty()) json["scope"] = row.scope;
  json["live_bytes"] = EstimateJson(row.live_bytes);
  json["live_count"] = EstimateJson(row.live_count);
  if (row.kind != snapshot::SiteKind::kHeap) json["reserved_bytes"] = NumberJson(row.reserved_bytes);
  json["total_bytes"] = row.totals_known ? EstimateJson(row.total_bytes) : Json(nullptr);
  json["total_count"] = row.totals_known ? EstimateJson(row.total_count) : Json(nullptr);
  json["growth_bytes_per_s"] = row.growth ? NumberJson(*row.growth) : Json(nullptr);
  json["first_seen"] = TimeJson(row.first_seen_ms);
  json["last_seen"] = TimeJson(row.last_seen_ms);
  json["oldest_age_s"] = AgeJson(row.oldest_birth_ms, s.time_ms);
  json["verdict"] = row.verdict;
  json["stack"] = StackJson(stack);
  return json;
}

}  // namespace

std::string TopSitesJson(Loaded& loaded, const std::vector<SiteRow>& rows) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  Json sites = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    sites.push_back(SiteJson(rows[i], i + 1, s, loaded.resolver->Stack(rows[i].stack)));
  }
  Json json = {{"schema", "leakhunt/top-sites/1"},
               {"process", ProcessJson(s.process)},
               {"snapshot", SnapshotJson(s)},
               {"sampling", SamplingJson(s.sampling)},
               {"losses", LossesJson(s.losses)},
               {"inconsistency", InconsistencyJson(s)},
               {"totals", TotalsJson(s)},
               {"sites", std::move(sites)}};
  return Dump(json);
}

}  // namespace leakhunt::viewer
