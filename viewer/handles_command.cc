// leakhunt-report handles: which call sites hold descriptors, and which are open without one.
#include <fmt/format.h>

#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/handle_rows.h"
#include "viewer/handles_json.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/stack_lines.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

constexpr size_t kExamplesShown = 3;

std::vector<std::string> Details(const HandleRow& row, Loaded& loaded, const Options& options) {
  std::vector<std::string> lines;
  if (options.by == By::kSite) lines = StackLines(loaded.resolver->Stack(row.stack), 5, options.full_stacks);
  size_t shown = options.full_stacks ? row.examples.size() : std::min(row.examples.size(), kExamplesShown);
  for (size_t i = 0; i < shown; ++i) {
    const snapshot::HandleExample& e = row.examples[i];
    std::string age = e.birth_ms == 0 ? "-" : Age(loaded.snapshot->time_ms - e.birth_ms);
    lines.push_back(fmt::format("       fd {}  {}  {}", e.fd, age, Printable(e.label)));
  }
  return lines;
}

Table MakeTable(const std::vector<HandleRow>& rows, Loaded& loaded, const Options& options) {
  Table table;
  table.columns = {{"#"},
                   {"open"},
                   {"opened", Align::kRight, 3},
                   {"closed", Align::kRight, 3},
                   {"type", Align::kLeft},
                   {"growth"},
                   {"oldest", Align::kRight, 2},
                   {"verdict", Align::kLeft},
                   {"where", Align::kLeft}};
  for (size_t i = 0; i < rows.size(); ++i) {
    const HandleRow& row = rows[i];
    std::string where = row.group.empty() ? PlaceName(OwnFrame(loaded.resolver->Stack(row.stack))) : row.group;
    bool totals = row.opened + row.closed > 0;
    table.rows.push_back({std::to_string(i + 1), Count(static_cast<double>(row.open)),
                          totals ? Count(static_cast<double>(row.opened)) : "",
                          totals ? Count(static_cast<double>(row.closed)) : "", row.type,
                          row.growth ? CountRate(*row.growth) : "",
                          row.oldest_birth_ms == 0 ? "" : Age(loaded.snapshot->time_ms - row.oldest_birth_ms),
                          row.verdict, Printable(where)});
    table.details.push_back(Details(row, loaded, options));
  }
  return table;
}

std::vector<std::string> SumLines(const Loaded& loaded) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  const snapshot::HandleTotals& t = s.handle_totals;
  std::string counts = fmt::format("{} handles open: {} with a call site, {} untracked, {} inherited",
                                   t.open + t.untracked + t.inherited, t.open, t.untracked, t.inherited);
  if (uint64_t limit = HandleLimit(s)) counts += fmt::format("; the limit is {}", Count(static_cast<double>(limit)));
  if (auto left = SecondsToHandleLimit(loaded)) {
    counts += fmt::format(", reached in {} at this rate", Age(static_cast<int64_t>(*left * 1000)));
  }
  std::string types;
  for (const auto& [type, count] : OpenByType(s)) types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  std::vector<std::string> lines = {counts};
  if (!types.empty()) lines.push_back("by type: " + types);
  if (t.vanished > 0) {
    lines.push_back(fmt::format("note: {} handles were gone without a close that was seen", t.vanished));
  }
  return lines;
}

Table UntrackedTable(const snapshot::Snapshot& s) {
  Table table;
  table.columns = {{"fd"}, {"type", Align::kLeft}, {"why", Align::kLeft}, {"what", Align::kLeft}};
  for (const snapshot::UntrackedHandle& h : s.untracked) {
    table.rows.push_back({std::to_string(h.fd), snapshot::HandleTypeName(h.type),
                          h.inherited ? "inherited" : h.reason.empty() ? "untracked" : h.reason, Printable(h.label)});
  }
  return table;
}

void WriteText(const std::vector<HandleRow>& rows, size_t of, Loaded& loaded, Context& context) {
  std::vector<std::string> lines = Preamble(loaded);
  for (std::string& line : SumLines(loaded)) lines.push_back(std::move(line));
  WriteLines(lines, context.terminal, context.out);
  context.out << "\n";
  if (rows.empty()) context.out << "no call site holds a handle that matches\n";
  if (!rows.empty()) WriteTextTable(MakeTable(rows, loaded, context.options), context.terminal, context.out);
  if (rows.size() < of) context.out << fmt::format("… {} more rows (--limit 0 shows all)\n", of - rows.size());
  if (!context.options.untracked || loaded.snapshot->untracked.empty()) return;
  context.out << "\nopen without a call site\n";
  WriteTextTable(UntrackedTable(*loaded.snapshot), context.terminal, context.out);
}

void WriteMarkdown(const std::vector<HandleRow>& rows, Loaded& loaded, Context& context) {
  context.out << "### Call sites holding handles: " << MarkdownText(loaded.snapshot->process.name) << "\n\n";
  WriteList(Preamble(loaded), context.out);
  WriteList(SumLines(loaded), context.out);
  context.out << "\n";
  WriteMarkdownTable(MakeTable(rows, loaded, context.options), context.out);
  for (size_t i = 0; i < rows.size() && context.options.by == By::kSite; ++i) {
    context.out << "\n<details><summary>" << i + 1 << ". stack and examples</summary>\n\n```\n";
    for (const std::string& line : Details(rows[i], loaded, context.options)) {
      context.out << FencedText(line) << "\n";
    }
    context.out << "```\n\n</details>\n";
  }
  if (!context.options.untracked || loaded.snapshot->untracked.empty()) return;
  context.out << "\n#### Open without a call site\n\n";
  WriteMarkdownTable(UntrackedTable(*loaded.snapshot), context.out);
}

void WriteCsv(const std::vector<HandleRow>& rows, Loaded& loaded, Context& context) {
  WriteCsvRecord({"rank", "type", "group", "open", "opened", "closed", "peak", "growth_per_s", "oldest_age_s", "verdict",
                  "example", "where", "stack"},
                 context.out);
  for (size_t i = 0; i < rows.size(); ++i) {
    const HandleRow& r = rows[i];
    const ResolvedStack& stack = loaded.resolver->Stack(r.stack);
    WriteCsvRecord({std::to_string(i + 1), r.type, r.group, std::to_string(r.open), std::to_string(r.opened),
                    std::to_string(r.closed), std::to_string(r.peak), r.growth ? fmt::format("{}", *r.growth) : "",
                    r.oldest_birth_ms == 0 ? "" : fmt::format("{}", (loaded.snapshot->time_ms - r.oldest_birth_ms) / 1000.0),
                    r.verdict, r.examples.empty() ? "" : r.examples.front().label, PlaceName(OwnFrame(stack)),
                    StackCell(stack)},
                   context.out);
  }
}

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, kHistory);
  if (!loaded) return std::move(loaded.error());
  Result<std::vector<HandleRow>> rows = HandleRows(*loaded, context.options);
  if (!rows) return std::move(rows.error());
  const std::string& format = context.options.format;
  bool for_people = format == "text" || format == "markdown";
  if (for_people && context.options.sort != Sort::kTotalBytes) {
    std::erase_if(*rows, [](const HandleRow& row) { return row.open == 0; });
  }
  size_t of = rows->size();
  rows->resize(RowsShown(context.options, of));
  if (format == "json") context.out << HandlesJson(*loaded, *rows);
  if (format == "markdown") WriteMarkdown(*rows, *loaded, context);
  if (format == "csv") WriteCsv(*rows, *loaded, context);
  if (format == "text") WriteText(*rows, of, *loaded, context);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kHandlesCommand = {"handles",
                                 "which call sites hold descriptors, by type, peer and age",
                                 "[PATH…]",
                                 100,
                                 "text,json,markdown,csv",
                                 kSelect | kPick | kRank | kGroup | kPattern | kFilter | kSymbols | kStacks | kHandles,
                                 Run};

}  // namespace leakhunt::viewer
