// leakhunt-report findings: the verdict, for people: how bad, where, what it costs, why, what to look at.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "collector/verdict/phrase.h"
#include "viewer/categories.h"
#include "viewer/command.h"
#include "viewer/findings.h"
#include "viewer/judged_sites.h"
#include "viewer/render/paragraph.h"
#include "viewer/render/preamble.h"
#include "viewer/render/stack_lines.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/verdict_json.h"

namespace leakhunt::viewer {
namespace {

constexpr int kFailed = 3;

Style StyleOf(Severity severity) {
  if (severity == Severity::kCritical || severity == Severity::kHigh) return Style::kRed;
  return severity == Severity::kMedium ? Style::kYellow : Style::kDim;
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

struct Labelled {
  const char* label;
  std::string text;
};

std::vector<Labelled> Paragraphs(const Finding& finding, const Judged& judged, Loaded& loaded) {
  const verdict::SiteVerdict& v = judged.sites[finding.sites.front()].verdict;
  std::vector<Labelled> all = {{"impact", finding.impact},
                               {"since", finding.since},
                               {"verdict", fmt::format("{}, {:.0f} % sure", verdict::VerdictName(v.verdict), v.confidence * 100)},
                               {"trend", v.evidence.trend},
                               {"births", v.evidence.cohorts},
                               {"deaths", v.evidence.hazard},
                               {"look at", finding.advice}};
  if (!finding.together.empty()) {
    std::string others = finding.together + ":";
    for (size_t k = 1; k < finding.sites.size(); ++k) {
      const JudgedSite& site = judged.sites[finding.sites[k]];
      others += fmt::format("{} {} {}", k > 1 ? "," : "", Printable(PlaceName(BlamedFrame(loaded.resolver->Stack(site.stack)))),
                            verdict::PerTime(site.verdict.rate_per_s.value, site.handles));
    }
    all.push_back({"together", others});
  }
  std::erase_if(all, [](const Labelled& one) { return one.text.empty(); });
  return all;
}

void WriteFinding(size_t rank, const Finding& finding, const Judged& judged, Loaded& loaded, Context& context) {
  const ResolvedStack& stack = loaded.resolver->Stack(judged.sites[finding.sites.front()].stack);
  std::string severity = Upper(SeverityName(finding.severity));
  if (context.options.format == "markdown") {
    context.out << fmt::format("#### {}. {}: {}\n\n", rank, severity, MarkdownText(finding.title));
    for (const Labelled& one : Paragraphs(finding, judged, loaded)) {
      context.out << fmt::format("- **{}**: {}\n", one.label, MarkdownText(one.text));
    }
    context.out << "\n```\n";
    for (const std::string& line : StackLines(stack, 0, context.options.full_stacks)) {
      context.out << FencedText(line) << "\n";
    }
    context.out << "```\n\n";
    return;
  }
  context.out << fmt::format("{}. {}  {}\n", rank, Styled(severity, StyleOf(finding.severity), context.terminal),
                             Styled(Printable(finding.title), Style::kBold, context.terminal));
  std::vector<std::string> lines;
  for (const Labelled& one : Paragraphs(finding, judged, loaded)) lines.push_back(fmt::format("   {:<9}{}", one.label, one.text));
  WriteLines(lines, context.terminal, context.out);
  for (const std::string& line : StackLines(stack, 5, context.options.full_stacks)) context.out << line << "\n";
  context.out << "\n";
}

void WriteForPeople(const std::vector<Finding>& findings, const Judged& judged, const std::vector<size_t>& sites,
                    const std::vector<CategoryGrowth>& categories, Loaded& loaded, Context& context) {
  bool markdown = context.options.format == "markdown";
  std::vector<std::string> lines = Preamble(loaded);
  for (std::string& line : ProcessLines(judged)) lines.push_back(std::move(line));
  if (!categories.empty()) lines.push_back(CategoryText(categories));
  bool leaks = std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.severity != Severity::kLow; });
  if (markdown) {
    context.out << "### Findings: " << MarkdownText(loaded.snapshot->process.name) << "\n\n";
    WriteList(lines, context.out);
  } else {
    WriteLines(lines, context.terminal, context.out);
  }
  context.out << "\n";
  if (!leaks) context.out << AllClear(judged) << "\n\n";
  size_t shown = RowsShown(context.options, findings.size());
  for (size_t i = 0; i < shown; ++i) WriteFinding(i + 1, findings[i], judged, loaded, context);
  if (shown < findings.size()) context.out << fmt::format("… {} more findings (--limit 0 shows all)\n", findings.size() - shown);
  context.out << "sites: " << VerdictCounts(judged, sites) << "\n";
}

void WriteCsv(const std::vector<Finding>& findings, const Judged& judged, Loaded& loaded, std::ostream& out) {
  WriteCsvRecord({"rank", "severity", "verdict", "kind", "rate_per_s", "where", "title", "impact", "since", "recommendation", "stack"}, out);
  for (size_t i = 0; i < findings.size(); ++i) {
    const Finding& finding = findings[i];
    const JudgedSite& first = judged.sites[finding.sites.front()];
    const ResolvedStack& stack = loaded.resolver->Stack(first.stack);
    WriteCsvRecord({std::to_string(i + 1), SeverityName(finding.severity), verdict::VerdictName(first.verdict.verdict),
                    first.handles ? "handle" : first.type, fmt::format("{}", finding.rate_per_s), PlaceName(BlamedFrame(stack)),
                    finding.title, finding.impact, finding.since, finding.advice, StackCell(stack)},
                   out);
  }
}

// A leak that began in mid-run is a leak: --fail-on leaking meets it too.
bool Fails(const Judged& judged, const std::vector<size_t>& sites, const std::string& on) {
  if (on.empty()) return false;
  int most = on == "growing-unproven" ? 2 : 1;
  return std::any_of(sites.begin(), sites.end(), [&](size_t i) {
    verdict::Verdict v = judged.sites[i].verdict.verdict;
    return on == "onset" ? v == verdict::Verdict::kOnset : Concern(v) <= most;
  });
}

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Judged judged = JudgeRecordings(*loaded, kTrendSnapshots, context.err);
  Result<std::vector<size_t>> sites = SitesOf(judged, *loaded, context.options);
  if (!sites) return std::move(sites.error());
  std::vector<Finding> findings = MakeFindings(judged, *sites, *loaded);
  Result<std::vector<CategoryGrowth>> categories = GrowthByCategory(judged, *sites, *loaded, context.options);
  if (!categories) return std::move(categories.error());
  const std::string& format = context.options.format;
  if (format == "text" || format == "markdown") WriteForPeople(findings, judged, *sites, *categories, *loaded, context);
  if (format == "json" || format == "csv") findings.resize(RowsShown(context.options, findings.size()));
  if (format == "json") context.out << VerdictJson(*loaded, judged, *sites, *categories, &findings);
  if (format == "csv") WriteCsv(findings, judged, *loaded, context.out);
  SayWarnings(*loaded->resolver, context);
  return Fails(judged, *sites, context.options.fail_on) ? kFailed : 0;
}

}  // namespace

const Command kFindingsCommand = {"findings", "the verdict, for people: how bad, where, impact, evidence, what to look at",
                                  "[PATH…]", 100, "text,json,markdown,csv",
                                  kSelect | kPick | kLimitOnly | kGroup | kPattern | kFilter | kSymbols | kStacks | kFailOn, Run};

}  // namespace leakhunt::viewer
