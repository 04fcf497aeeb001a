#include "viewer/handles_json.h"

#include "viewer/render/json_parts.h"

namespace leakhunt::viewer {
namespace {

Json TotalsJson(const Loaded& loaded) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  Json by_type = Json::object();
  for (const auto& [type, count] : OpenByType(s)) by_type[type] = count;
  uint64_t limit = HandleLimit(s);
  Json json = {{"open", s.handle_totals.open},
               {"untracked", s.handle_totals.untracked},
               {"inherited", s.handle_totals.inherited},
               {"limit", limit == 0 ? Json(nullptr) : Json(limit)},
               {"by_type", std::move(by_type)},
               {"vanished", s.handle_totals.vanished}};
  std::optional<double> left = SecondsToHandleLimit(loaded);
  json["time_to_limit_s"] = left ? NumberJson(*left) : Json(nullptr);
  return json;
}

Json SiteJson(const HandleRow& row, size_t rank, int64_t now_ms, const ResolvedStack& stack) {
  Json json = {{"rank", rank}, {"type", row.type}};
  if (!row.group.empty()) json["group"] = row.group;
  json["open"] = row.open;
  json["opened"] = row.opened;
  json["closed"] = row.closed;
  json["peak"] = row.peak;
  json["oldest_age_s"] = AgeJson(row.oldest_birth_ms, now_ms);
  json["growth_per_s"] = row.growth ? NumberJson(*row.growth) : Json(nullptr);
  json["verdict"] = row.verdict;
  Json examples = Json::array();
  for (const snapshot::HandleExample& e : row.examples) {
    examples.push_back({{"fd", e.fd}, {"label", e.label}, {"age_s", AgeJson(e.birth_ms, now_ms)}});
  }
  json["examples"] = std::move(examples);
  json["stack"] = StackJson(stack);
  return json;
}

Json UntrackedJson(const snapshot::Snapshot& s, bool inherited) {
  Json list = Json::array();
  for (const snapshot::UntrackedHandle& h : s.untracked) {
    if (h.inherited != inherited) continue;
    Json entry = {{"fd", h.fd}, {"type", snapshot::HandleTypeName(h.type)}, {"label", h.label}};
    if (!h.reason.empty()) entry["reason"] = h.reason;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

std::string HandlesJson(Loaded& loaded, const std::vector<HandleRow>& rows) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  Json sites = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    sites.push_back(SiteJson(rows[i], i + 1, s.time_ms, loaded.resolver->Stack(rows[i].stack)));
  }
  Json json = {{"schema", "leakhunt/handles/1"},
               {"process", ProcessJson(s.process)},
               {"snapshot", SnapshotJson(s)},
               {"losses", LossesJson(s.losses)},
               {"totals", TotalsJson(loaded)},
               {"sites", std::move(sites)},
               {"untracked", UntrackedJson(s, false)},
               {"inherited", UntrackedJson(s, true)}};
  return Dump(json);
}

}  // namespace leakhunt::viewer
