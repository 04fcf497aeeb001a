#include "viewer/process_findings.h"

#include <algorithm>
#include <ostream>
#include <tuple>

#include "collector/base/clean_text.h"
#include "viewer/judged_sites.h"

namespace leakhunt::viewer {
namespace {

Result<ProcessFindings> FindingsOf(std::vector<ChosenSnapshot> chosen, Context& context) {
  ProcessFindings process;
  process.loaded = LoadChosen(std::move(chosen), context, 1);
  process.judged = JudgeRecordings(process.loaded, kTrendSnapshots, context.err);
  Result<std::vector<size_t>> sites = SitesOf(process.judged, process.loaded, context.options);
  if (!sites) return std::move(sites.error());
  process.sites = std::move(*sites);
  process.findings = MakeFindings(process.judged, process.sites, process.loaded);
  Result<std::vector<CategoryGrowth>> categories =
      GrowthByCategory(process.judged, process.sites, process.loaded, context.options);
  if (!categories) return std::move(categories.error());
  process.categories = std::move(*categories);
  return process;
}

}  // namespace

bool Seriousness::operator<(const Seriousness& other) const {
  return std::tuple(severity, concern, -rate_per_s) < std::tuple(other.severity, other.concern, -other.rate_per_s);
}

Seriousness SeriousnessOf(const ProcessFindings& process) {
  Seriousness serious{static_cast<int>(Severity::kLow) + 1, Concern(verdict::Verdict::kBounded), 0};
  if (!process.findings.empty()) serious.severity = static_cast<int>(process.findings.front().severity);
  for (const JudgedProcess& one : process.judged.processes) {
    serious.concern = std::min(serious.concern, Concern(one.verdict.verdict));
    serious.rate_per_s += one.verdict.rate_per_s.value;
  }
  return serious;
}

Status ForEachProcess(Context& context, const std::function<Status(ProcessFindings&)>& report) {
  const auto judge = [&](std::vector<ChosenSnapshot> chosen) -> Status {
    Result<ProcessFindings> process = FindingsOf(std::move(chosen), context);
    if (!process) return std::move(process.error());
    return report(*process);
  };
  if (!MeansWholeRun(context.options)) {
    Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(context.options, context.err);
    return chosen ? judge(std::move(*chosen)) : Status(std::move(chosen.error()));
  }
  Result<std::vector<ListedProcess>> run = ListNewestRun(context.options.paths, context.err);
  if (!run) return std::move(run.error());
  Error first_defect;
  bool any = false;
  for (ListedProcess& listed : *run) {
    Result<ChosenSnapshot> chosen = ReadWhich(std::move(listed.recording), context.options.snapshot, context.err);
    if (!chosen) {
      if (run->size() > 1) context.err << MessageLine("leakhunt-report", chosen.error().message);
      if (first_defect.message.empty()) first_defect = std::move(chosen.error());
      continue;
    }
    any = true;
    std::vector<ChosenSnapshot> one;
    one.push_back(std::move(*chosen));
    if (Status judged = judge(std::move(one)); !judged) return judged;
  }
  return any ? Ok() : Status(std::move(first_defect));
}

bool Leaks(const ProcessFindings& process) {
  return std::any_of(process.findings.begin(), process.findings.end(),
                     [](const Finding& finding) { return finding.severity != Severity::kLow; });
}

bool Meets(const ProcessFindings& process, const std::string& fail_on) {
  if (fail_on.empty()) return false;
  const int most = fail_on == "growing-unproven" ? 2 : 1;
  return std::any_of(process.sites.begin(), process.sites.end(), [&](size_t i) {
    const verdict::Verdict v = process.judged.sites[i].verdict.verdict;
    return fail_on == "onset" ? v == verdict::Verdict::kOnset : Concern(v) <= most;
  });
}

}  // namespace leakhunt::viewer
