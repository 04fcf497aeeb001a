// leakhunt-report summary, or without any command: every process of the newest run on one screen, worst first.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "collector/verdict/phrase.h"
#include "viewer/command.h"
#include "viewer/process_findings.h"
#include "viewer/render/json_parts.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

using verdict::PerTime;

// One process of the run. Empty texts: nothing to say.
struct Row {
  Seriousness serious;
  snapshot::ProcessInfo process;
  std::string verdict, severity, where, rate, limit, next, sentence;
  double rate_per_s = 0;
  bool handles = false;
  double rss_bytes = 0, live_bytes = 0;
  uint64_t open_handles = 0;
  Json time_to_limit_s, limit_kind;
};

// The paths as the user gave them, so that the command can be pasted.
std::string PathWords(const Options& options) {
  std::string words;
  for (const std::string& path : options.paths) words += " " + ShellWord(path);
  return words;
}

void AddLimit(const verdict::ProcessVerdict& v, Row* row) {
  if (!v.limit) return;
  row->limit = fmt::format("{} in {}", v.limit->kind, verdict::Duration(v.limit->seconds * 1000));
  row->time_to_limit_s = NumberJson(v.limit->seconds);
  row->limit_kind = v.limit->kind;
}

void AddWorst(ProcessFindings& process, Row* row) {
  if (process.findings.empty()) return;
  const Finding& worst = process.findings.front();
  const JudgedSite& site = process.judged.sites[worst.sites.front()];
  row->severity = SeverityName(worst.severity);
  row->verdict = verdict::VerdictName(site.verdict.verdict);
  row->where = PlaceName(BlamedFrame(process.loaded.resolver->Stack(site.stack)));
  row->rate_per_s = worst.rate_per_s;
  row->handles = site.handles;
  row->rate = PerTime(worst.rate_per_s, site.handles);
}

Row RowOf(ProcessFindings& process, const Options& options) {
  const snapshot::Snapshot& s = *process.loaded.snapshot;
  const verdict::ProcessVerdict& v = process.judged.processes.front().verdict;
  Row row;
  row.serious = SeriousnessOf(process);
  row.process = s.process;
  row.sentence = v.text;
  row.verdict = verdict::VerdictName(v.verdict);
  row.rate_per_s = v.rate_per_s.value;
  if (Concern(v.verdict) <= 2) row.rate = PerTime(v.rate_per_s.value, false);
  AddLimit(v, &row);
  AddWorst(process, &row);
  for (const snapshot::Site& site : s.sites) row.live_bytes += site.live_bytes.value;
  if (!s.vitals.empty()) row.rss_bytes = static_cast<double>(s.vitals.back().rss_bytes);
  row.open_handles = s.handle_totals.open + s.handle_totals.untracked + s.handle_totals.inherited;
  const bool concerns = !process.findings.empty();
  row.next = fmt::format("leakhunt-report {}{} --pid {}", concerns ? "findings" : "top-sites", PathWords(options),
                         s.process.pid);
  return row;
}

Table MakeTable(const std::vector<Row>& rows, size_t shown) {
  Table table;
  table.columns = {{"process", Align::kLeft},  {"verdict", Align::kLeft},     {"rate"},
                   {"where", Align::kLeft},    {"limit", Align::kLeft, 1},    {"RSS", Align::kRight, 2},
                   {"live", Align::kRight, 4}, {"handles", Align::kRight, 5}, {"state", Align::kLeft, 3}};
  for (size_t i = 0; i < shown; ++i) {
    const Row& row = rows[i];
    table.rows.push_back({fmt::format("{}[{}]", Printable(row.process.name), row.process.pid), row.verdict, row.rate,
                          Printable(row.where), row.limit, row.rss_bytes > 0 ? Bytes(row.rss_bytes) : "",
                          Bytes(row.live_bytes), Count(static_cast<double>(row.open_handles)), EndText(row.process)});
  }
  return table;
}

std::string Headline(const std::vector<Row>& rows) {
  const auto leaking = std::count_if(
      rows.begin(), rows.end(), [](const Row& row) { return row.serious.severity < static_cast<int>(Severity::kLow); });
  const std::string started = rows.front().process.run_started_ms == 0
                                  ? ""
                                  : fmt::format(", started {} UTC", Clock(rows.front().process.run_started_ms));
  if (rows.size() == 1) return fmt::format("run of 1 process{}", started);
  const std::string leaks = leaking == 0   ? "none of them leaks"
                            : leaking == 1 ? "1 of them leaks"
                                           : fmt::format("{} of them leak", leaking);
  return fmt::format("run of {} processes{}; {}", rows.size(), started, leaks);
}

void WriteForPeople(const std::vector<Row>& rows, Context& context) {
  const bool markdown = context.options.format == "markdown";
  const size_t shown = RowsShown(context.options, rows.size());
  const Table table = MakeTable(rows, shown);
  context.out << (markdown ? "### " : "") << Headline(rows) << "\n\n";
  if (markdown)
    WriteMarkdownTable(table, context.out);
  else
    WriteTextTable(table, context.terminal, context.out);
  if (shown < rows.size())
    context.out << fmt::format("… {} more processes (--limit 0 shows all)\n", rows.size() - shown);
  const Row& worst = rows.front();
  std::vector<std::string> lines = {
      fmt::format("{}[{}] is {}", Printable(worst.process.name), worst.process.pid, worst.sentence)};
  context.out << "\n";
  if (markdown)
    WriteList(lines, context.out);
  else
    WriteLines(lines, context.terminal, context.out);
  context.out << (markdown ? "\n- next: `" : "next: ") << (markdown ? FencedText(worst.next) : Printable(worst.next))
              << (markdown ? "`\n" : "\n");
}

void WriteJson(const std::vector<Row>& rows, std::ostream& out) {
  Json json = {{"schema", "leakhunt/summary/1"},
               {"run", {{"started", TimeJson(rows.front().process.run_started_ms)}, {"processes", rows.size()}}},
               {"processes", Json::array()}};
  for (const Row& row : rows) {
    Json one = {{"process", ProcessJson(row.process)}, {"verdict", row.verdict}, {"summary", row.sentence}};
    one["severity"] = row.severity.empty() ? Json(nullptr) : Json(row.severity);
    one["where"] = row.where.empty() ? Json(nullptr) : Json(row.where);
    one[row.handles ? "rate_per_s" : "rate_bytes_per_s"] = NumberJson(row.rate_per_s);
    one["time_to_limit_s"] = row.time_to_limit_s;
    one["limit"] = row.limit_kind;
    one["rss_bytes"] = NumberJson(row.rss_bytes);
    one["live_bytes"] = NumberJson(row.live_bytes);
    one["open_handles"] = row.open_handles;
    one["next"] = row.next;
    json["processes"].push_back(std::move(one));
  }
  out << Dump(json);
}

void WriteCsv(const std::vector<Row>& rows, std::ostream& out) {
  WriteCsvRecord({"pid", "process", "verdict", "severity", "rate_per_s", "where", "limit", "rss_bytes", "live_bytes",
                  "open_handles", "state", "next"},
                 out);
  for (const Row& row : rows) {
    WriteCsvRecord(
        {std::to_string(row.process.pid), row.process.name, row.verdict, row.severity,
         fmt::format("{}", row.rate_per_s), row.where, row.limit, fmt::format("{}", row.rss_bytes),
         fmt::format("{}", row.live_bytes), std::to_string(row.open_handles), EndText(row.process), row.next},
        out);
  }
}

Result<int> Run(Context& context) {
  std::vector<Row> rows;
  Status done = ForEachProcess(context, [&](ProcessFindings& process) {
    rows.push_back(RowOf(process, context.options));
    return Ok();
  });
  if (!done) return std::move(done.error());
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.serious < b.serious; });
  const std::string& format = context.options.format;
  if (format == "json" || format == "csv") rows.resize(RowsShown(context.options, rows.size()));
  if (format == "json")
    WriteJson(rows, context.out);
  else if (format == "csv")
    WriteCsv(rows, context.out);
  else
    WriteForPeople(rows, context);
  return 0;
}

}  // namespace

const Command kSummaryCommand = {"summary",
                                 "every process of the newest run, worst first, and what to type next",
                                 "[PATH…]",
                                 100,
                                 "text,json,markdown,csv",
                                 kSelect | kPick | kLimitOnly | kFilter | kSymbols,
                                 Run};

}  // namespace leakhunt::viewer
