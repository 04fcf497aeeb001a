#include "viewer/processes_json.h"

#include "viewer/render/json_parts.h"
#include "viewer/site_rows.h"

namespace leakhunt::viewer {

std::string ProcessesJson(const std::vector<ListedProcess>& listed) {
  Json processes = Json::array();
  for (const ListedProcess& p : listed) {
    const snapshot::Snapshot& s = p.last;
    const snapshot::HandleTotals& handles = s.handle_totals;
    int64_t until_ms = s.process.ended_ms != 0 ? s.process.ended_ms : s.time_ms;
    Json json = ProcessJson(s.process);
    json["duration_s"] = NumberJson(static_cast<double>(until_ms - s.process.started_ms) / 1000);
    json["replaced_by_exec"] = s.process.replaced_by_exec;
    json["previous"] = s.process.previous.empty() ? Json(nullptr) : Json(s.process.previous);
    json["run"] = s.process.run_id;
    json["run_started"] = TimeJson(s.process.run_started_ms);
    json["first_of_run"] = s.process.run_first;
    json["directory"] = p.recording.directory.string();
    json["snapshots"] = p.recording.files.size();
    json["sampling"] = SamplingJson(s.sampling);
    json["live_bytes"] = EstimateJson(SumOfSites(s).live_bytes);
    json["open_handles"] = handles.open + handles.untracked + handles.inherited;
    json["losses"] = LossesJson(s.losses);
    processes.push_back(std::move(json));
  }
  return Dump({{"schema", "leakhunt/processes/1"}, {"processes", std::move(processes)}});
}

}  // namespace leakhunt::viewer
