// leakhunt-report vitals: RSS and what it is made of, limits, descriptors, threads, time to exhaustion.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/vitals_json.h"
#include "viewer/vitals_series.h"

namespace leakhunt::viewer {
namespace {

using snapshot::VitalsPoint;

std::string Figure(double value, bool is_bytes) { return is_bytes ? Bytes(value) : Count(value); }

std::vector<double> ValuesOf(const std::vector<VitalsPoint>& points, const VitalsFigure& figure) {
  std::vector<double> values;
  for (const VitalsPoint& p : points) {
    if (Known(p, figure)) values.push_back(static_cast<double>(p.*figure.member));
  }
  return values;
}

Table MakeTable(const std::vector<VitalsPoint>& points, size_t chart_width) {
  Table table;
  table.columns = {{"", Align::kLeft}, {"now"}, {"lowest", Align::kRight, 2}, {"highest", Align::kRight, 1},
                   {"since the start", Align::kRight, 3}, {"over time", Align::kLeft}};
  for (const VitalsFigure& figure : VitalsFigures()) {
    std::vector<double> values = ValuesOf(points, figure);
    if (values.empty() || *std::max_element(values.begin(), values.end()) == 0) continue;
    auto [low, high] = std::minmax_element(values.begin(), values.end());
    double change = values.back() - values.front();
    table.rows.push_back({figure.name, Figure(values.back(), figure.is_bytes), Figure(*low, figure.is_bytes),
                          Figure(*high, figure.is_bytes),
                          WithSign(change, Figure(change, figure.is_bytes)), Sparkline(values, chart_width)});
  }
  return table;
}

std::vector<std::string> LimitLines(const VitalsSeries& series) {
  const auto& l = series.chosen.snapshot.limits;
  std::vector<std::string> lines;
  std::string limits;
  auto add = [&](const char* name, uint64_t value, bool is_bytes) {
    if (value == 0) return;
    limits += fmt::format("{}{} {}", limits.empty() ? "" : ", ", name, Figure(static_cast<double>(value), is_bytes));
  };
  add("cgroup", l.cgroup_bytes, true);
  add("address space", l.address_space_bytes, true);
  add("descriptors", l.open_handles, false);
  add("threads of the cgroup", l.cgroup_tasks, false);
  add("threads of the user", l.user_tasks, false);
  add("machine", l.machine_bytes, true);
  if (!limits.empty()) lines.push_back("limits: " + limits);
  if (l.cgroup_oom_kills > 0) lines.push_back(fmt::format("note: {} OOM kills in the cgroup", l.cgroup_oom_kills));
  for (const Exhaustion& e : FindExhaustion(series)) {
    bool handles = e.what.starts_with("descriptors") || e.what.starts_with("threads");
    lines.push_back(fmt::format("{}: {} of {} used, {}: reached in {} at this rate", e.what, Figure(e.used, !handles),
                                Figure(e.limit, !handles), handles ? CountRate(e.growth_per_s) : Rate(e.growth_per_s),
                                Age(static_cast<int64_t>(std::min(e.seconds, 1e10) * 1000))));
  }
  return lines;
}

std::vector<std::string> Head(const VitalsSeries& series) {
  const snapshot::ProcessInfo& p = series.chosen.snapshot.process;
  std::vector<std::string> lines = {fmt::format("{}[{}]  {}", Printable(p.name), p.pid, CommandText(p))};
  if (!series.points.empty()) {
    lines.push_back(fmt::format("{} points from {} to {} UTC; {}", series.points.size(),
                                Clock(series.points.front().time_ms), Clock(series.points.back().time_ms), EndText(p)));
  }
  for (std::string& line : LimitLines(series)) lines.push_back(std::move(line));
  return lines;
}

void WriteCsv(const std::vector<VitalsPoint>& points, std::ostream& out) {
  std::vector<std::string> titles = {"time"};
  for (const VitalsFigure& figure : VitalsFigures()) titles.push_back(figure.field);
  WriteCsvRecord(titles, out);
  for (const VitalsPoint& p : points) {
    std::vector<std::string> cells = {fmt::format("{}", static_cast<double>(p.time_ms) / 1000)};
    for (const VitalsFigure& figure : VitalsFigures()) {
      cells.push_back(Known(p, figure) ? std::to_string(p.*figure.member) : "");
    }
    WriteCsvRecord(cells, out);
  }
}

Result<int> Run(Context& context) {
  Result<VitalsSeries> series = ReadVitals(context);
  if (!series) return std::move(series.error());
  const std::string& format = context.options.format;
  if (context.options.limit_given) series->points = ThinPoints(std::move(series->points), context.options.limit);
  if (format == "json") context.out << VitalsJson(*series);
  if (format == "csv") WriteCsv(series->points, context.out);
  if (format == "json" || format == "csv") return 0;
  bool markdown = format == "markdown";
  if (markdown) context.out << "### Vitals: " << MarkdownText(series->chosen.snapshot.process.name) << "\n\n";
  if (markdown) {
    WriteList(Head(*series), context.out);
  } else {
    WriteLines(Head(*series), context.terminal, context.out);
  }
  context.out << "\n";
  Table table = MakeTable(series->points, 24);
  if (table.rows.empty()) {
    context.out << "the collector took no vitals of this process\n";
  } else if (markdown) {
    WriteMarkdownTable(table, context.out);
  } else {
    WriteTextTable(table, context.terminal, context.out);
  }
  return 0;
}

}  // namespace

const Command kVitalsCommand = {"vitals", "RSS and what it is made of, limits, descriptors, time to exhaustion",
                                "[PATH…]", 100, "text,json,markdown,csv", kSelect | kPick | kLimitOnly, Run};

}  // namespace leakhunt::viewer
