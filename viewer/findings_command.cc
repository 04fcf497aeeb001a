// leakhunt-report findings: the verdict, for people: how bad, where, what it costs, why, what to look at.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <sstream>

#include "collector/base/clean_text.h"
#include "collector/verdict/phrase.h"
#include "viewer/command.h"
#include "viewer/judged_sites.h"
#include "viewer/process_findings.h"
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
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

struct Labelled {
  const char* label;
  std::string text;
};

std::vector<Labelled> Paragraphs(const Finding& finding, const Judged& judged, Loaded& loaded) {
  const verdict::SiteVerdict& v = judged.sites[finding.sites.front()].verdict;
  std::vector<Labelled> all = {
      {"impact", finding.impact},
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
      others += fmt::format("{} {} {}", k > 1 ? "," : "",
                            Printable(PlaceName(BlamedFrame(loaded.resolver->Stack(site.stack)))),
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
  for (const Labelled& one : Paragraphs(finding, judged, loaded))
    lines.push_back(fmt::format("   {:<9}{}", one.label, one.text));
  WriteLines(lines, context.terminal, context.out);
  for (const std::string& line : StackLines(stack, 5, context.options.full_stacks)) context.out << line << "\n";
  context.out << "\n";
}

void WriteForPeople(ProcessFindings& process, Context& context) {
  bool markdown = context.options.format == "markdown";
  const std::vector<Finding>& findings = process.findings;
  Loaded& loaded = process.loaded;
  std::vector<std::string> lines = Preamble(loaded);
  for (std::string& line : ProcessLines(process.judged)) lines.push_back(std::move(line));
  if (!process.categories.empty()) lines.push_back(CategoryText(process.categories));
  if (markdown) {
    context.out << "### Findings: " << MarkdownText(loaded.snapshot->process.name) << "\n\n";
    WriteList(lines, context.out);
  } else {
    WriteLines(lines, context.terminal, context.out);
  }
  context.out << "\n";
  if (!Leaks(process)) context.out << AllClear(process.judged) << "\n\n";
  size_t shown = RowsShown(context.options, findings.size());
  for (size_t i = 0; i < shown; ++i) WriteFinding(i + 1, findings[i], process.judged, loaded, context);
  if (shown < findings.size())
    context.out << fmt::format("… {} more findings (--limit 0 shows all)\n", findings.size() - shown);
  context.out << "sites: " << VerdictCounts(process.judged, process.sites) << "\n";
}

void WriteCsv(ProcessFindings& process, std::ostream& out) {
  for (size_t i = 0; i < process.findings.size(); ++i) {
    const Finding& finding = process.findings[i];
    const JudgedSite& first = process.judged.sites[finding.sites.front()];
    const ResolvedStack& stack = process.loaded.resolver->Stack(first.stack);
    const snapshot::ProcessInfo& of = process.loaded.snapshot->process;
    WriteCsvRecord({std::to_string(i + 1), SeverityName(finding.severity), verdict::VerdictName(first.verdict.verdict),
                    first.handles ? "handle" : first.type, fmt::format("{}", finding.rate_per_s),
                    PlaceName(BlamedFrame(stack)), finding.title, finding.impact, finding.since, finding.advice,
                    StackCell(stack), std::to_string(of.pid), of.name},
                   out);
  }
}

// What is kept of a process after it was reported: its text or its JSON, and how to place it among the others.
struct Reported {
  Seriousness serious;
  bool leaks = false;
  bool worth_a_page = false;  // has findings, proven or not
  std::string name, line;     // "sh[12]", and what can be said of it in one line
  std::string text;
  Json json;
};

class Report {
 public:
  explicit Report(Context& context) : context_(context), format_(context.options.format) {}

  Status Add(ProcessFindings& process) {
    Reported one;
    one.serious = SeriousnessOf(process);
    one.leaks = Leaks(process);
    one.worth_a_page = !process.findings.empty();
    const snapshot::ProcessInfo& info = process.loaded.snapshot->process;
    one.name = fmt::format("{}[{}]", Printable(info.name), info.pid);
    one.line = AllClear(process.judged);
    fails_ = fails_ || Meets(process, context_.options.fail_on);
    std::ostringstream text;
    Context into{context_.options, text, context_.err, context_.terminal, context_.screen};
    if (format_ == "text" || format_ == "markdown") WriteForPeople(process, into);
    if (format_ == "json" || format_ == "csv")
      process.findings.resize(RowsShown(context_.options, process.findings.size()));
    if (format_ == "json")
      one.json = VerdictJson(process.loaded, process.judged, process.sites, process.categories, &process.findings);
    if (format_ == "csv") WriteCsv(process, text);
    one.text = text.str();
    SayWarnings(*process.loaded.resolver, context_);
    reported_.push_back(std::move(one));
    return Ok();
  }

  int Write() {
    std::stable_sort(reported_.begin(), reported_.end(),
                     [](const Reported& a, const Reported& b) { return a.serious < b.serious; });
    if (format_ == "json")
      WriteJson();
    else if (format_ == "csv")
      WriteAllCsv();
    else
      WriteText();
    return fails_ ? kFailed : 0;
  }

 private:
  // The worst process stands at the top, field for field as a report of it alone; all of them are in `processes`.
  void WriteJson() {
    Json json = reported_.front().json;
    if (reported_.size() > 1) {
      json["processes"] = Json::array();
      for (Reported& one : reported_) json["processes"].push_back(std::move(one.json));
    }
    context_.out << Dump(json);
  }

  void WriteAllCsv() {
    WriteCsvRecord({"rank", "severity", "verdict", "kind", "rate_per_s", "where", "title", "impact", "since",
                    "recommendation", "stack", "pid", "process"},
                   context_.out);
    for (const Reported& one : reported_) context_.out << one.text;
  }

  // A page for each process with findings; one line for each of the others, unless none has any.
  void WriteText() {
    const size_t leaking = static_cast<size_t>(
        std::count_if(reported_.begin(), reported_.end(), [](const Reported& r) { return r.leaks; }));
    const bool markdown = format_ == "markdown";
    if (reported_.size() == 1) {
      context_.out << reported_.front().text;
      return;
    }
    context_.out << fmt::format("{}{} processes of this run, {} with a leak\n\n", markdown ? "## " : "",
                                reported_.size(), leaking);
    std::vector<std::string> quiet;
    for (const Reported& one : reported_) {
      if (one.worth_a_page)
        context_.out << one.text << "\n";
      else
        quiet.push_back(one.name + ": " + one.line);
    }
    if (markdown)
      WriteList(quiet, context_.out);
    else
      WriteLines(quiet, context_.terminal, context_.out);
  }

  Context& context_;
  const std::string format_;
  std::vector<Reported> reported_;
  bool fails_ = false;
};

Result<int> Run(Context& context) {
  Report report(context);
  Status done = ForEachProcess(context, [&](ProcessFindings& process) { return report.Add(process); });
  if (!done) return std::move(done.error());
  return report.Write();
}

}  // namespace

const Command kFindingsCommand = {
    "findings",
    "the verdict, for people: how bad, where, impact, evidence, what to look at",
    "[PATH…]",
    100,
    "text,json,markdown,csv",
    kSelect | kPick | kLimitOnly | kGroup | kPattern | kFilter | kSymbols | kStacks | kFailOn,
    Run};

}  // namespace leakhunt::viewer
