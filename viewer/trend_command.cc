// leakhunt-report trend: each site over time, with its rate, verdict and onset.
#include <fmt/format.h>

#include <ostream>

#include "collector/base/clean_text.h"
#include "collector/verdict/phrase.h"
#include "viewer/categories.h"
#include "viewer/command.h"
#include "viewer/judged_sites.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/stack_lines.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/verdict_json.h"

namespace leakhunt::viewer {
namespace {

constexpr size_t kChartWidth = 16;

std::string LiveText(const JudgedSite& site) { return site.handles ? Count(site.live.value) : Bytes(site.live.value); }

std::string Where(const JudgedSite& site, Loaded& loaded) {
  std::string place = PlaceName(OwnFrame(loaded.resolver->Stack(site.stack)));
  if (site.type != "heap") place = fmt::format("[{}] {}", site.type, place);
  if (!site.scope.empty()) place += " {" + site.scope + "}";
  return Printable(place);
}

std::vector<double> Values(const JudgedSite& site) {
  std::vector<double> values;
  for (const auto& point : site.points) values.push_back(point.second);
  return values;
}

std::vector<std::string> Reasons(const JudgedSite& site) {
  const verdict::SiteVerdict& v = site.verdict;
  std::vector<std::string> lines;
  auto add = [&](bool agrees, const std::string& clause) {
    if (!clause.empty()) lines.push_back(fmt::format("     {} {}", agrees ? "+" : "-", clause));
  };
  add(v.evidence.trend_agrees, v.evidence.trend);
  add(v.evidence.cohorts_agree, v.evidence.cohorts);
  add(v.evidence.hazard_agrees, v.evidence.hazard);
  if (!v.needs.empty()) lines.push_back("     " + v.needs);
  return lines;
}

Table MakeTable(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded, const Options& options) {
  Table table;
  table.columns = {{"#"},    {"live"}, {"rate"}, {"verdict", Align::kLeft}, {"sure"}, {"since", Align::kLeft},
                   {"over time", Align::kLeft}, {"where", Align::kLeft}};
  for (size_t rank = 0; rank < sites.size(); ++rank) {
    const JudgedSite& site = judged.sites[sites[rank]];
    const verdict::SiteVerdict& v = site.verdict;
    table.rows.push_back({std::to_string(rank + 1), LiveText(site), verdict::PerTime(v.rate_per_s.value, site.handles),
                          verdict::VerdictName(v.verdict), fmt::format("{:.0f} %", v.confidence * 100),
                          v.onset_ms == 0 ? "" : Clock(v.onset_ms), Sparkline(Values(site), kChartWidth), Where(site, loaded)});
    std::vector<std::string> details;
    if (Concern(v.verdict) <= 2) details = Reasons(site);
    if (options.full_stacks) {
      for (std::string& line : StackLines(loaded.resolver->Stack(site.stack), 5, true)) details.push_back(std::move(line));
    }
    table.details.push_back(std::move(details));
  }
  return table;
}

void WriteCsv(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded, std::ostream& out) {
  WriteCsvRecord({"rank", "kind", "live", "rate_per_s", "rate_low", "rate_high", "verdict", "confidence", "onset", "needs",
                  "where", "stack"}, out);
  auto number = [](double value) { return fmt::format("{}", value); };
  for (size_t rank = 0; rank < sites.size(); ++rank) {
    const JudgedSite& site = judged.sites[sites[rank]];
    const verdict::SiteVerdict& v = site.verdict;
    const ResolvedStack& stack = loaded.resolver->Stack(site.stack);
    WriteCsvRecord({std::to_string(rank + 1), site.type, number(site.live.value), number(v.rate_per_s.value),
                    number(v.rate_per_s.low), number(v.rate_per_s.high), verdict::VerdictName(v.verdict), number(v.confidence),
                    v.onset_ms == 0 ? "" : number(static_cast<double>(v.onset_ms) / 1000), v.needs, PlaceName(OwnFrame(stack)),
                    StackCell(stack)},
                   out);
  }
}

void WriteForPeople(const Judged& judged, const std::vector<size_t>& sites, const std::vector<CategoryGrowth>& categories,
                    size_t shown, Loaded& loaded, Context& context) {
  bool markdown = context.options.format == "markdown";
  std::vector<std::string> lines = Preamble(loaded);
  for (std::string& line : ProcessLines(judged)) lines.push_back(std::move(line));
  if (!categories.empty()) lines.push_back(CategoryText(categories));
  lines.push_back("sites: " + VerdictCounts(judged, sites));
  if (markdown) {
    context.out << "### Trend: " << MarkdownText(loaded.snapshot->process.name) << "\n\n";
    WriteList(lines, context.out);
  } else {
    WriteLines(lines, context.terminal, context.out);
  }
  context.out << "\n";
  std::vector<size_t> first(sites.begin(), sites.begin() + static_cast<std::ptrdiff_t>(shown));
  Table table = MakeTable(judged, first, loaded, context.options);
  if (markdown) {
    WriteMarkdownTable(table, context.out);
    return;
  }
  WriteTextTable(table, context.terminal, context.out);
  if (shown < sites.size()) context.out << fmt::format("… {} more rows (--limit 0 shows all)\n", sites.size() - shown);
}

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Judged judged = JudgeRecordings(*loaded, kTrendSnapshots, context.err);
  Result<std::vector<size_t>> sites = SitesOf(judged, *loaded, context.options);
  if (!sites) return std::move(sites.error());
  Result<std::vector<CategoryGrowth>> categories = GrowthByCategory(judged, *sites, *loaded, context.options);
  if (!categories) return std::move(categories.error());
  const std::string& format = context.options.format;
  bool for_people = format == "text" || format == "markdown";
  if (for_people) {
    std::erase_if(*sites, [&](size_t i) { return judged.sites[i].live.value <= 0 && Concern(judged.sites[i].verdict.verdict) > 2; });
  }
  size_t shown = RowsShown(context.options, sites->size());
  if (for_people) WriteForPeople(judged, *sites, *categories, shown, *loaded, context);
  sites->resize(shown);
  if (format == "json") context.out << Dump(VerdictJson(*loaded, judged, *sites, *categories, nullptr));
  if (format == "csv") WriteCsv(judged, *sites, *loaded, context.out);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kTrendCommand = {"trend", "each site over time: rate, verdict, onset, time to the limit", "[PATH…]", 100,
                               "text,json,markdown,csv", kSelect | kPick | kRank | kGroup | kPattern | kFilter | kSymbols | kStacks, Run};

}  // namespace leakhunt::viewer
