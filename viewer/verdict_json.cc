#include "viewer/verdict_json.h"

namespace leakhunt::viewer {
namespace {

// The rates of slow leaks are small numbers: more digits than other figures get.
Json RateJson(const snapshot::Estimate& rate) { return {{"value", rate.value}, {"low", rate.low}, {"high", rate.high}}; }

Json VerdictPart(const JudgedSite& site) {
  const verdict::SiteVerdict& v = site.verdict;
  Json points = Json::array();
  for (const auto& [time_ms, live] : site.points) points.push_back({TimeJson(time_ms), NumberJson(live)});
  Json json = {{"verdict", verdict::VerdictName(v.verdict)}, {"confidence", NumberJson(v.confidence)}};
  json[site.handles ? "rate_per_s" : "rate_bytes_per_s"] = RateJson(v.rate_per_s);
  json["active_until"] = TimeJson(v.active_until_ms);
  json["rate_while_active"] = RateJson(v.rate_while_active);
  json["onset"] = TimeJson(v.onset_ms);
  json["evidence"] = {{"trend", v.evidence.trend}, {"cohorts", v.evidence.cohorts}, {"hazard", v.evidence.hazard}};
  json["agrees"] = {{"trend", v.evidence.trend_agrees}, {"cohorts", v.evidence.cohorts_agree}, {"hazard", v.evidence.hazard_agrees}};
  json["needs"] = v.needs.empty() ? Json(nullptr) : Json(v.needs);
  json["points"] = std::move(points);
  return json;
}

Json MemorySite(const JudgedSite& site, size_t rank, Loaded& loaded) {
  Json json = {{"rank", rank}, {"kind", site.type}};
  if (!site.scope.empty()) json["scope"] = site.scope;
  json["live_bytes"] = EstimateJson(site.live);
  json["live_count"] = EstimateJson(site.live_count);
  if (site.type != "heap") json["reserved_bytes"] = NumberJson(site.reserved_bytes);
  json["total_bytes"] = EstimateJson(site.total_bytes);
  json["total_count"] = EstimateJson(site.total_count);
  json["growth_bytes_per_s"] = NumberJson(site.verdict.rate_per_s.value);
  json["first_seen"] = TimeJson(site.first_seen_ms);
  json["last_seen"] = TimeJson(site.last_seen_ms);
  json["oldest_age_s"] = AgeJson(site.oldest_birth_ms, loaded.snapshot->time_ms);
  json.update(VerdictPart(site));
  json["stack"] = StackJson(loaded.resolver->Stack(site.stack));
  return json;
}

Json HandleSite(const JudgedSite& site, size_t rank, Loaded& loaded) {
  Json json = {{"rank", rank},
               {"type", site.type},
               {"open", NumberJson(site.live.value)},
               {"opened", site.opened},
               {"closed", site.closed},
               {"oldest_age_s", AgeJson(site.oldest_birth_ms, loaded.snapshot->time_ms)},
               {"growth_per_s", NumberJson(site.verdict.rate_per_s.value)}};
  json.update(VerdictPart(site));
  json["stack"] = StackJson(loaded.resolver->Stack(site.stack));
  return json;
}

Json FindingJson(const Finding& finding, const Judged& judged, const std::vector<size_t>& rank_of, Loaded& loaded) {
  const JudgedSite& first = judged.sites[finding.sites.front()];
  const ResolvedFrame* own = BlamedFrame(loaded.resolver->Stack(first.stack));
  Json members = Json::array();
  for (size_t i : finding.sites) {
    members.push_back({{"kind", judged.sites[i].handles ? "handle" : judged.sites[i].type}, {"rank", rank_of[i]}});
  }
  Json json = {{"severity", SeverityName(finding.severity)},
               {"title", finding.title},
               {"kind", first.handles ? "handle" : first.type},
               {"verdict", verdict::VerdictName(first.verdict.verdict)},
               {"function", own == nullptr ? "" : own->function},
               {"file", own == nullptr ? "" : own->file},
               {"line", own == nullptr ? 0 : own->line},
               {"impact", finding.impact}};
  json[first.handles ? "rate_per_s" : "rate_bytes_per_s"] = finding.rate_per_s;
  json["share"] = finding.share ? NumberJson(*finding.share) : Json(nullptr);
  json["since"] = finding.since;
  json["onset"] = TimeJson(first.verdict.onset_ms);
  json["evidence"] = {{"trend", first.verdict.evidence.trend},
                      {"cohorts", first.verdict.evidence.cohorts},
                      {"hazard", first.verdict.evidence.hazard}};
  json["recommendation"] = finding.advice;
  if (!finding.together.empty()) json["together"] = finding.together;
  json["sites"] = std::move(members);
  return json;
}

const JudgedProcess& WorstProcess(const Judged& judged) {
  const JudgedProcess* worst = &judged.processes.front();
  for (const JudgedProcess& process : judged.processes) {
    if (Concern(process.verdict.verdict) < Concern(worst->verdict.verdict)) worst = &process;
  }
  return *worst;
}

Json LimitJson(const verdict::TimeToLimit& limit) {
  const bool handles = verdict::LimitsHandles(limit), threads = verdict::LimitsThreads(limit);
  Json json = {{"kind", limit.kind}, {"bytes", handles || threads ? Json(nullptr) : NumberJson(limit.limit)}};
  if (handles) json["handles"] = NumberJson(limit.limit);
  if (threads) json["threads"] = NumberJson(limit.limit);
  json["used"] = NumberJson(limit.used);
  return json;
}

Json CauseJson(const verdict::GrowthCause& cause) {
  const bool handles = cause.growth == verdict::GrowthClass::kHandle;
  Json json = {{"class", verdict::GrowthClassName(cause.growth)},
               {"severity", SeverityName(SeverityOf(cause))},
               {handles ? "rate_per_s" : "rate_bytes_per_s", RateJson(cause.rate_per_s)}};
  json["time_to_limit_s"] = cause.limit ? NumberJson(cause.limit->seconds) : Json(nullptr);
  json["limit"] = cause.limit ? LimitJson(*cause.limit) : Json(nullptr);
  return json;
}

void AddProcess(const verdict::ProcessVerdict& v, Json& json) {
  Json causes = Json::array();
  for (const verdict::GrowthCause& cause : v.causes) causes.push_back(CauseJson(cause));
  Json parts = Json::array();
  for (const verdict::MemoryPart& part : v.parts) {
    parts.push_back({{"name", part.name}, {"bytes", NumberJson(part.bytes)}, {"rate_bytes_per_s", RateJson(part.rate_per_s)}});
  }
  json["process_verdict"] = verdict::VerdictName(v.verdict);
  json["process_confidence"] = NumberJson(v.confidence);
  json["summary"] = v.text;
  json["growth"] = {{"class", verdict::GrowthClassName(v.growth)},
                    {"rate_bytes_per_s", RateJson(v.rate_per_s)},
                    {"handles_per_s", RateJson(v.handles_per_s)},
                    {"causes", std::move(causes)},
                    {"parts", std::move(parts)}};
  json["time_to_limit_s"] = nullptr;
  json["limit"] = nullptr;
  if (!v.limit) return;
  json["time_to_limit_s"] = NumberJson(v.limit->seconds);
  json["time_to_limit_range_s"] = {{"low", NumberJson(v.limit->low_s)},
                                   {"high", v.limit->high_s ? NumberJson(*v.limit->high_s) : Json(nullptr)}};
  json["limit"] = LimitJson(*v.limit);
}

}  // namespace

Json VerdictJson(Loaded& loaded, const Judged& judged, const std::vector<size_t>& sites,
                 const std::vector<CategoryGrowth>& categories, const std::vector<Finding>* findings) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  Json memory = Json::array(), handles = Json::array();
  std::vector<size_t> rank_of(judged.sites.size(), 0);
  for (size_t i : sites) {
    const JudgedSite& site = judged.sites[i];
    Json& list = site.handles ? handles : memory;
    rank_of[i] = list.size() + 1;
    list.push_back(site.handles ? HandleSite(site, rank_of[i], loaded) : MemorySite(site, rank_of[i], loaded));
  }
  Json json = {{"schema", "leakhunt/trend/1"},
               {"process", ProcessJson(s.process)},
               {"snapshot", SnapshotJson(s)},
               {"sampling", SamplingJson(s.sampling)},
               {"losses", LossesJson(s.losses)},
               {"inconsistency", InconsistencyJson(s)}};
  AddProcess(WorstProcess(judged).verdict, json);
  json["categories"] = Json::array();
  for (const CategoryGrowth& category : categories) {
    json["categories"].push_back({{"name", category.name},
                                  {"rate_bytes_per_s", RateJson(category.bytes_per_s)},
                                  {"handles_per_s", RateJson(category.handles_per_s)},
                                  {"share", NumberJson(category.share)},
                                  {"sites", category.sites}});
  }
  if (findings) {
    Json list = Json::array();
    for (const Finding& finding : *findings) list.push_back(FindingJson(finding, judged, rank_of, loaded));
    json["findings"] = std::move(list);
  }
  json["sites"] = std::move(memory);
  json["handle_sites"] = std::move(handles);
  return json;
}

}  // namespace leakhunt::viewer
