// leakhunt-report html: findings, charts, tables and the flame graph as one self-contained page, to mail or to attach.
//
// The page is filled with what the other commands print as JSON, so that it never says anything else than they do.
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/loaded_report.h"
#include "viewer/profile_of.h"
#include "viewer/render/flamegraph.h"
#include "viewer/render/page.h"
#include "viewer/render/pages.h"

namespace leakhunt::viewer {
namespace {

constexpr size_t kMostRows = 200;

// The JSON of another command with the options of this one; "null" and a note when it has none to give.
std::string JsonOf(const Command& command, const Context& context, nlohmann::json* notes) {
  Options options = context.options;
  options.format = "json";
  if (!options.limit_given) options.limit = kMostRows;
  options.limit_given = true;
  std::ostringstream out, err;
  Context part{options, out, err, {}, out};
  Result<int> status = command.run(part);
  if (status) return out.str();
  notes->push_back(std::string(command.name) + ": " + status.error().message);
  return "null";
}

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Result<Profile> profile = MemoryProfile(*loaded, context.options);
  if (!profile) return std::move(profile.error());
  const std::string title = profile->process + " (" + std::to_string(profile->pid) + "): memory and handles";
  std::ostringstream graph;
  RenderFlameGraph(*profile, profile->process + ": memory by call site", graph);

  nlohmann::json notes = nlohmann::json::array();
  std::string data = "{\"sites\": " + JsonOf(kTopSitesCommand, context, &notes);
  data += ", \"handles\": " + JsonOf(kHandlesCommand, context, &notes);
  data += ", \"findings\": " + JsonOf(kFindingsCommand, context, &notes);
  data += ", \"vitals\": " + JsonOf(kVitalsCommand, context, &notes);
  data += ", \"notes\": " + notes.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "}";
  FillPage(kReportPage,
           {{"TITLE", HtmlText(title)}, {"DATA", ScriptJson(data)}, {"FLAMEGRAPH", EscapeHtml(graph.str())}},
           context.out);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kHtmlCommand = {"html",
                              "one self-contained page: findings, charts, tables, flame graph",
                              "[PATH…]",
                              100,
                              "html",
                              kSelect | kPick | kFilter | kSymbols | kLimitOnly,
                              Run};

}  // namespace leakhunt::viewer
