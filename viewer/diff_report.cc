#include "viewer/diff_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

struct Sides {
  std::string before_path, after_path, before_which = "last", after_which = "last";
};

// What is no path names a snapshot.
bool IsSnapshotName(const std::string& text) {
  std::error_code ignored;
  return !std::filesystem::exists(text, ignored) && text.find('/') == std::string::npos;
}

Result<Sides> Interpret(const std::vector<std::string>& arguments) {
  std::vector<std::string> names, paths;
  for (const std::string& argument : arguments) (IsSnapshotName(argument) ? names : paths).push_back(argument);
  Sides sides;
  if (names.size() == 2 && paths.size() <= 1) {
    sides.before_path = sides.after_path = paths.empty() ? "./leakhunt-data" : paths.front();
    sides.before_which = names[0];
    sides.after_which = names[1];
  } else if (names.empty() && paths.size() == 2) {
    sides.before_path = paths[0];
    sides.after_path = paths[1];
  } else if (names.empty() && paths.size() <= 1) {
    sides.before_path = sides.after_path = paths.empty() ? "./leakhunt-data" : paths.front();
    sides.before_which = "first";
  } else {
    return Error{"diff compares two snapshots of one recording, or two files, or two recordings", 2};
  }
  return sides;
}

void Rank(std::vector<DiffRow>& rows, Sort sort) {
  auto size = [sort](const DiffRow& row) { return std::abs(sort == Sort::kLiveCount ? row.CountDelta() : row.Delta()); };
  std::stable_sort(rows.begin(), rows.end(), [&](const DiffRow& a, const DiffRow& b) {
    if (a.handle != b.handle) return b.handle;
    if (sort == Sort::kGrowth && a.Delta() != b.Delta()) return a.Delta() > b.Delta();
    return size(a) > size(b);
  });
}

double SecondsBetween(const DiffReport& report) {
  const snapshot::Snapshot &a = report.before.snapshot, &b = report.after.snapshot;
  int64_t ms = b.time_ms - a.time_ms;
  if (!report.SameProcess()) {
    const int64_t age = b.time_ms - b.process.started_ms;
    ms = age - (a.time_ms - a.process.started_ms);
    if (ms < age / 4) return 0;  // runs of about one age are compared as they are, not as one that became the other
  }
  return static_cast<double>(ms) / 1000;
}

}  // namespace

bool DiffReport::SameProcess() const {
  const snapshot::ProcessInfo &a = before.snapshot.process, &b = after.snapshot.process;
  return a.pid == b.pid && a.started_ms == b.started_ms && a.image == b.image;
}

Result<std::unique_ptr<DiffReport>> LoadDiff(Context& context) {
  const Options& options = context.options;
  Result<Sides> sides = Interpret(options.paths);
  if (!sides) return std::move(sides.error());
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  Result<ChosenSnapshot> before = ChooseSnapshot(sides->before_path, sides->before_which, options.pid, context.err);
  if (!before) return std::move(before.error());
  Result<ChosenSnapshot> after = ChooseSnapshot(sides->after_path, sides->after_which, options.pid, context.err);
  if (!after) return std::move(after.error());
  auto report = std::make_unique<DiffReport>();
  report->before = std::move(*before);
  report->after = std::move(*after);
  report->before_symbols = std::make_unique<Resolver>(report->before.snapshot, options, report->before.recording.directory);
  report->after_symbols = std::make_unique<Resolver>(report->after.snapshot, options, report->after.recording.directory);
  report->rows = CompareSnapshots({report->before.snapshot, *report->before_symbols},
                                  {report->after.snapshot, *report->after_symbols});
  std::erase_if(report->rows, [&](const DiffRow& row) { return !filter->Matches(report->StackOf(row), {row.type}); });
  Rank(report->rows, options.sort);
  report->seconds = SecondsBetween(*report);
  if (!report->SameProcess()) {
    report->fixes = CheckFixes(report->before, *report->before_symbols, report->after, *report->after_symbols, context.err);
  }
  return report;
}

}  // namespace leakhunt::viewer
