// leakhunt-report diff: what grew and shrank between two snapshots.
#include <fmt/format.h>

#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/diff_report.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/stack_lines.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/site_rows.h"

namespace leakhunt::viewer {
namespace {

std::string SideText(const char* name, const ChosenSnapshot& side) {
  const snapshot::Snapshot& s = side.snapshot;
  return fmt::format("{} {}[{}] snapshot {}, {} UTC, {} after its start: live {}", name, Printable(s.process.name),
                     s.process.pid, s.number, Clock(s.time_ms), Age(s.time_ms - s.process.started_ms),
                     Bytes(SumOfSites(s).live_bytes.value));
}

std::string PerTime(const FixedSite& site, double per_s) {
  return site.handles ? CountRate(per_s) : Rate(per_s);
}

// "fixed: handle_report handlers.cc:23 leaked +27.6 MiB/min, now at most +1.2 KiB/min (95 %)".
std::string FixText(const FixedSite& site, DiffReport& report) {
  const std::string what = fmt::format("{} leaked {}", Printable(PlaceName(OwnFrame(report.before_symbols->Stack(site.stack)))),
                                       PerTime(site, site.rate_before.value));
  switch (site.state) {
    case FixState::kFixed:
      return fmt::format("fixed: {}, now {}, at most {} with 95 % confidence", what, site.verdict_after,
                         PerTime(site, site.at_most_per_s));
    case FixState::kGone: return fmt::format("fixed: {}, and the later run never allocated there", what);
    case FixState::kStillLeaking: return fmt::format("NOT FIXED: {}, still {}", what, PerTime(site, site.rate_after.value));
    case FixState::kUndecided: break;
  }
  return fmt::format("undecided: {}, now {}; {}", what, site.verdict_after,
                     site.needs.empty() ? "the later run is too short to tell" : site.needs);
}

std::vector<std::string> Head(DiffReport& report) {
  snapshot::Weighted before = SumOfSites(report.before.snapshot).live_bytes;
  snapshot::Weighted after = SumOfSites(report.after.snapshot).live_bytes;
  snapshot::Estimate delta = DeltaLimits(before, after);
  std::string sum = fmt::format("live memory {}", WithSign(delta.value, Bytes(delta.value)));
  if (delta.high > delta.low) {
    sum += fmt::format(" ({} to {})", WithSign(delta.low, Bytes(delta.low)), WithSign(delta.high, Bytes(delta.high)));
  }
  if (report.seconds > 0) sum += fmt::format(", {}", Rate(delta.value / report.seconds));
  std::vector<std::string> lines = {SideText("from", report.before), SideText("to  ", report.after), sum};
  size_t by_names = 0;
  for (const DiffRow& row : report.rows) by_names += row.by_names ? 1 : 0;
  if (by_names > 0) lines.push_back(fmt::format("{} sites were matched by function names: the builds differ", by_names));
  for (const FixedSite& site : report.fixes.sites) lines.push_back(FixText(site, report));
  if (!report.fixes.sites.empty() && !report.fixes.process_after.empty()) {
    lines.push_back("the later run as a whole: " + report.fixes.process_after);
  }
  return lines;
}

std::vector<std::string> Cells(const DiffRow& row, size_t rank, DiffReport& report) {
  snapshot::Estimate delta = DeltaLimits(row.before, row.after);
  std::string what = Printable(PlaceName(OwnFrame(report.StackOf(row))));
  std::string note = row.fresh ? "new" : row.gone ? "gone" : "";
  if (row.handle) {
    return {std::to_string(rank), WithSign(delta.value, Count(delta.value)), "", "", Count(row.before.value),
            Count(row.after.value), row.type, note, what};
  }
  return {std::to_string(rank), WithSign(delta.value, Bytes(delta.value)), Margin(delta),
          WithSign(row.CountDelta(), Count(row.CountDelta())), Bytes(row.before.value), Bytes(row.after.value), row.type,
          note, what};
}

Table MakeTable(DiffReport& report, size_t shown, const Options& options) {
  Table table;
  table.columns = {{"#"},
                   {"change"},
                   {"±", Align::kRight, 1},
                   {"blocks", Align::kRight, 3},
                   {"before", Align::kRight, 2},
                   {"after"},
                   {"kind", Align::kLeft},
                   {"", Align::kLeft},
                   {"where", Align::kLeft}};
  for (size_t i = 0; i < shown; ++i) {
    table.rows.push_back(Cells(report.rows[i], i + 1, report));
    table.details.push_back(StackLines(report.StackOf(report.rows[i]), 5, options.full_stacks));
  }
  return table;
}

void WriteCsv(DiffReport& report, size_t shown, std::ostream& out) {
  WriteCsvRecord({"rank", "kind", "delta", "delta_low", "delta_high", "before", "after", "count_delta", "matched_by",
                  "where", "stack"},
                 out);
  auto number = [](double v) { return fmt::format("{}", v); };
  for (size_t i = 0; i < shown; ++i) {
    const DiffRow& row = report.rows[i];
    snapshot::Estimate delta = DeltaLimits(row.before, row.after);
    const ResolvedStack& stack = report.StackOf(row);
    WriteCsvRecord({std::to_string(i + 1), row.type, number(delta.value), number(delta.low), number(delta.high),
                    number(row.before.value), number(row.after.value), number(row.CountDelta()),
                    row.by_names ? "names" : "content", PlaceName(OwnFrame(stack)), StackCell(stack)},
                   out);
  }
}

void WriteForPeople(DiffReport& report, size_t shown, Context& context) {
  bool markdown = context.options.format == "markdown";
  if (markdown) context.out << "### What grew and shrank: " << MarkdownText(report.after.snapshot.process.name) << "\n\n";
  if (markdown) {
    WriteList(Head(report), context.out);
  } else {
    WriteLines(Head(report), context.terminal, context.out);
  }
  context.out << "\n";
  if (report.rows.empty()) {
    context.out << "nothing differs\n";
    return;
  }
  Table table = MakeTable(report, shown, context.options);
  if (markdown) {
    WriteMarkdownTable(table, context.out);
  } else {
    WriteTextTable(table, context.terminal, context.out);
  }
  if (shown < report.rows.size()) {
    context.out << fmt::format("… {} more rows (--limit 0 shows all)\n", report.rows.size() - shown);
  }
}

Result<int> Run(Context& context) {
  Result<std::unique_ptr<DiffReport>> loaded = LoadDiff(context);
  if (!loaded) return std::move(loaded.error());
  DiffReport& report = **loaded;
  size_t shown = RowsShown(context.options, report.rows.size());
  const std::string& format = context.options.format;
  if (format == "json") context.out << DiffJson(report, shown);
  if (format == "csv") WriteCsv(report, shown, context.out);
  if (format == "text" || format == "markdown") WriteForPeople(report, shown, context);
  return 0;
}

}  // namespace

const Command kDiffCommand = {"diff", "what grew and shrank between two snapshots, or two versions", "[A B] [PATH]", 3,
                              "text,json,markdown,csv", kRank | kFilter | kSymbols | kStacks, Run};

}  // namespace leakhunt::viewer
