// leakhunt-report top-sites: which call sites hold memory.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/render/function_name.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/stack_lines.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/site_rows.h"
#include "viewer/top_sites_json.h"

namespace leakhunt::viewer {
namespace {

using snapshot::Estimate;
using snapshot::Weighted;

constexpr int kReservedColumn = 4;  // left out where nothing is reserved

Estimate Of(const Weighted& sum) { return snapshot::Limits(sum); }

std::string Where(const SiteRow& row, Loaded& loaded, const Options& options) {
  std::string place = row.group.empty() ? PlaceName(OwnFrame(loaded.resolver->Stack(row.stack))) : row.group;
  if (options.by == By::kFunction) place = ShortFunction(place);
  if (row.kind != snapshot::SiteKind::kHeap && row.group.empty()) {
    place = fmt::format("[{}] {}", snapshot::SiteKindName(row.kind), place);
  }
  if (!row.scope.empty() && row.group.empty()) place += " {" + row.scope + "}";
  return Printable(place);
}

Table MakeTable(const std::vector<SiteRow>& rows, Loaded& loaded, const Options& options) {
  Table table;
  table.columns = {{"#"},
                   {"live"},
                   {"±", Align::kRight, 1},
                   {"blocks", Align::kRight, 3},
                   {"reserved", Align::kRight, 4},
                   {"total", Align::kRight, 4},
                   {"growth"},
                   {"oldest", Align::kRight, 2},
                   {"verdict", Align::kLeft},
                   {"where", Align::kLeft}};
  for (size_t i = 0; i < rows.size(); ++i) {
    const SiteRow& row = rows[i];
    table.rows.push_back({std::to_string(i + 1), Bytes(row.live_bytes.value), Margin(Of(row.live_bytes)),
                          Count(row.live_count.value), row.reserved_bytes > 0 ? Bytes(row.reserved_bytes) : "",
                          row.totals_known ? Bytes(row.total_bytes.value) : "",
                          row.growth ? Rate(*row.growth) : "",
                          row.oldest_birth_ms == 0 ? "" : Age(loaded.snapshot->time_ms - row.oldest_birth_ms),
                          row.verdict, Where(row, loaded, options)});
    if (options.by == By::kSite) {
      table.details.push_back(StackLines(loaded.resolver->Stack(row.stack), 5, options.full_stacks));
    }
  }
  if (std::all_of(rows.begin(), rows.end(), [](const SiteRow& row) { return row.reserved_bytes <= 0; })) {
    table.columns.erase(table.columns.begin() + kReservedColumn);
    for (std::vector<std::string>& row : table.rows) row.erase(row.begin() + kReservedColumn);
  }
  return table;
}

std::string SumText(const snapshot::Snapshot& s) {
  SiteRow sum = SumOfSites(s);
  Estimate live = Of(sum.live_bytes);
  std::string text = fmt::format("live {}", Bytes(live.value));
  if (live.high > live.low) text += fmt::format(" ({} to {})", Bytes(live.low), Bytes(live.high));
  const snapshot::HandleTotals& handles = s.handle_totals;
  const auto open = static_cast<double>(handles.open + handles.untracked + handles.inherited);
  return text + fmt::format(" in {}; {} in {} since the start; {} open", Counted(sum.live_count.value, "block"),
                            Bytes(sum.total_bytes.value), Counted(sum.total_count.value, "allocation"), Counted(open, "handle"));
}

void WriteText(const std::vector<SiteRow>& rows, size_t of, Loaded& loaded, Context& context) {
  std::vector<std::string> lines = Preamble(loaded);
  lines.push_back(SumText(*loaded.snapshot));
  WriteLines(lines, context.terminal, context.out);
  context.out << "\n";
  if (rows.empty()) {
    context.out << (context.options.filter.empty() ? "no site holds memory\n" : "no site matches the filter\n");
    return;
  }
  WriteTextTable(MakeTable(rows, loaded, context.options), context.terminal, context.out);
  if (rows.size() < of) context.out << fmt::format("… {} more rows (--limit 0 shows all)\n", of - rows.size());
}

void WriteMarkdown(const std::vector<SiteRow>& rows, Loaded& loaded, Context& context) {
  std::vector<std::string> lines = Preamble(loaded);
  context.out << "### Call sites holding memory: " << MarkdownText(loaded.snapshot->process.name) << "\n\n";
  lines.push_back(SumText(*loaded.snapshot));
  WriteList(lines, context.out);
  context.out << "\n";
  WriteMarkdownTable(MakeTable(rows, loaded, context.options), context.out);
  if (context.options.by != By::kSite) return;
  for (size_t i = 0; i < rows.size(); ++i) {
    context.out << "\n<details><summary>" << i + 1 << ". stack</summary>\n\n```\n";
    for (const std::string& line : StackLines(loaded.resolver->Stack(rows[i].stack), 0, true)) {
      context.out << FencedText(line) << "\n";
    }
    context.out << "```\n\n</details>\n";
  }
}

void WriteCsv(const std::vector<SiteRow>& rows, Loaded& loaded, Context& context) {
  WriteCsvRecord({"rank", "kind", "group", "live_bytes", "live_bytes_low", "live_bytes_high", "live_count", "total_bytes",
                  "total_count", "growth_bytes_per_s", "oldest_age_s", "verdict", "scope", "where", "stack", "reserved_bytes"},
                 context.out);
  auto number = [](double v) { return fmt::format("{}", v); };
  for (size_t i = 0; i < rows.size(); ++i) {
    const SiteRow& r = rows[i];
    Estimate live = Of(r.live_bytes);
    const ResolvedStack& stack = loaded.resolver->Stack(r.stack);
    WriteCsvRecord({std::to_string(i + 1), snapshot::SiteKindName(r.kind), r.group, number(live.value), number(live.low),
                    number(live.high), number(r.live_count.value), r.totals_known ? number(r.total_bytes.value) : "",
                    r.totals_known ? number(r.total_count.value) : "", r.growth ? number(*r.growth) : "",
                    r.oldest_birth_ms == 0 ? "" : number((loaded.snapshot->time_ms - r.oldest_birth_ms) / 1000.0),
                    r.verdict, r.scope, PlaceName(OwnFrame(stack)), StackCell(stack),
                    r.kind == snapshot::SiteKind::kHeap ? "" : number(r.reserved_bytes)},
                   context.out);
  }
}

// People are not shown sites that hold nothing, unless they rank by what was allocated.
void DropIdle(std::vector<SiteRow>& rows, const Options& options) {
  bool for_people = options.format == "text" || options.format == "markdown";
  if (!for_people || options.sort == Sort::kTotalBytes) return;
  std::erase_if(rows, [](const SiteRow& row) { return row.live_count.value <= 0; });
}

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, kHistory);
  if (!loaded) return std::move(loaded.error());
  Result<std::vector<SiteRow>> rows = SiteRows(*loaded, context.options);
  if (!rows) return std::move(rows.error());
  DropIdle(*rows, context.options);
  size_t of = rows->size();
  rows->resize(RowsShown(context.options, of));
  const std::string& format = context.options.format;
  if (format == "json") context.out << TopSitesJson(*loaded, *rows);
  if (format == "markdown") WriteMarkdown(*rows, *loaded, context);
  if (format == "csv") WriteCsv(*rows, *loaded, context);
  if (format == "text") WriteText(*rows, of, *loaded, context);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kTopSitesCommand = {"top-sites",
                                  "which call sites hold memory",
                                  "[PATH…]",
                                  100,
                                  "text,json,markdown,csv",
                                  kSelect | kPick | kRank | kGroup | kPattern | kFilter | kSymbols | kStacks,
                                  Run};

}  // namespace leakhunt::viewer
