#include "viewer/loaded_report.h"

#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/judged.h"
#include "viewer/merge.h"

namespace leakhunt::viewer {
namespace {

// Older collectors gave the size of a mapping as what it holds.
void FillReserved(snapshot::Snapshot& s) {
  if (s.mapping_bytes != snapshot::MappingBytes::kReserved) return;
  for (snapshot::Site& site : s.sites) {
    if (site.kind != snapshot::SiteKind::kHeap) site.reserved_bytes = site.live_bytes.value;
  }
}

}  // namespace

Result<Loaded> Load(Context& context, size_t history) {
  Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(context.options, context.err);
  if (!chosen) return std::move(chosen.error());
  return LoadChosen(std::move(*chosen), context, history);
}

Loaded LoadChosen(std::vector<ChosenSnapshot> chosen, Context& context, size_t history) {
  Loaded loaded;
  loaded.chosen = std::move(chosen);
  std::vector<const snapshot::Snapshot*> parts;
  for (const ChosenSnapshot& one : loaded.chosen) {
    parts.push_back(&one.snapshot);
    if (history <= 1) continue;
    for (const auto& [key, rate] : MeasureGrowth(ReadHistory(one, history, context.err))) loaded.growth[key] += rate;
  }
  loaded.snapshot = std::make_unique<snapshot::Snapshot>(parts.size() == 1 ? *parts.front() : MergeSnapshots(parts));
  FillReserved(*loaded.snapshot);
  loaded.resolver = std::make_unique<Resolver>(*loaded.snapshot, context.options,
                                               loaded.chosen.front().recording.directory);
  if (history > 1) loaded.verdicts = NamesOf(JudgeRecordings(loaded, kVerdictSnapshots, context.err));
  return loaded;
}

void SayWarnings(const Resolver& resolver, Context& context) {
  for (const std::string& warning : resolver.Warnings()) context.err << MessageLine("leakhunt-report", warning);
}

}  // namespace leakhunt::viewer
