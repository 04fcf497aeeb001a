// leakhunt-report processes: what was recorded, as a tree, and how each process ended.
#include <fmt/format.h>

#include <functional>
#include <map>
#include <ostream>
#include <set>

#include "viewer/command.h"
#include "viewer/processes_json.h"
#include "viewer/render/preamble.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"
#include "viewer/selection.h"
#include "viewer/site_rows.h"

namespace leakhunt::viewer {
namespace {

struct Node {
  const ListedProcess* process;
  size_t depth;
};

using RunKey = std::pair<int64_t, std::string>;
RunKey RunOf(const ListedProcess& p) { return {p.last.process.run_started_ms, p.last.process.run_id}; }

// Whether `p` stands under another recording: an image before it, or its parent in the same run.
const ListedProcess* ParentOf(const ListedProcess& p, const std::vector<ListedProcess>& listed) {
  const ListedProcess* parent = nullptr;
  for (const ListedProcess& other : listed) {
    if (&other == &p || RunOf(other) != RunOf(p)) continue;
    const snapshot::ProcessInfo &a = other.last.process, &b = p.last.process;
    if (a.pid == b.pid && a.image + 1 == b.image) return &other;
    if (a.pid == b.parent_pid && a.pid != b.pid && a.started_ms <= b.started_ms && b.image == 0) parent = &other;
  }
  return parent;
}

// Depth first, runs in order.
std::vector<Node> Tree(const std::vector<ListedProcess>& listed) {
  std::map<const ListedProcess*, std::vector<const ListedProcess*>> children;
  for (const ListedProcess& p : listed) children[ParentOf(p, listed)].push_back(&p);
  std::vector<Node> nodes;
  std::set<const ListedProcess*> seen;
  std::function<void(const ListedProcess*, size_t)> walk = [&](const ListedProcess* p, size_t depth) {
    if (!seen.insert(p).second) return;
    nodes.push_back({p, depth});
    for (const ListedProcess* child : children[p]) walk(child, depth + 1);
  };
  for (const ListedProcess* root : children[nullptr]) walk(root, 0);
  for (const ListedProcess& p : listed) walk(&p, 0);  // a circle of parents is shown flat
  return nodes;
}

std::string LossText(const snapshot::Losses& l) {
  std::string text;
  if (l.records > 0) text = fmt::format("{} records", Count(static_cast<double>(l.records)));
  if (!l.gaps.empty()) text += fmt::format("{}{} gap{}", text.empty() ? "" : ", ", l.gaps.size(), l.gaps.size() == 1 ? "" : "s");
  return text.empty() ? "none" : text;
}

std::vector<std::string> Row(const Node& node) {
  const snapshot::Snapshot& s = node.process->last;
  const snapshot::ProcessInfo& p = s.process;
  const snapshot::HandleTotals& handles = s.handle_totals;
  int64_t until_ms = p.ended_ms != 0 ? p.ended_ms : s.time_ms;
  return {std::string(2 * node.depth, ' ') + std::to_string(p.pid), std::to_string(p.parent_pid), Clock(p.started_ms),
          Age(until_ms - p.started_ms), EndText(p), std::to_string(node.process->recording.files.size()),
          Bytes(SumOfSites(s).live_bytes.value),
          Count(static_cast<double>(handles.open + handles.untracked + handles.inherited)), LossText(s.losses),
          CommandText(p)};
}

Table MakeTable(const std::vector<Node>& nodes) {
  Table table;
  table.columns = {{"pid", Align::kLeft},
                   {"parent", Align::kRight, 4},
                   {"started (UTC)", Align::kLeft, 3},
                   {"lasted"},
                   {"end", Align::kLeft},
                   {"snapshots", Align::kRight, 5},
                   {"live"},
                   {"handles", Align::kRight, 1},
                   {"lost", Align::kLeft, 2},
                   {"command", Align::kLeft}};
  for (const Node& node : nodes) table.rows.push_back(Row(node));
  return table;
}

Result<int> Run(Context& context) {
  Result<std::vector<ListedProcess>> listed = ListProcesses(context.options.paths, context.err);
  if (!listed) return std::move(listed.error());
  const std::string& format = context.options.format;
  if (format == "json") {
    context.out << ProcessesJson(*listed);
    return 0;
  }
  Table table = MakeTable(Tree(*listed));
  table.rows.resize(RowsShown(context.options, table.rows.size()));
  if (format == "text") WriteTextTable(table, context.terminal, context.out);
  if (format == "markdown") WriteMarkdownTable(table, context.out);
  if (format == "csv") {
    std::vector<std::string> titles;
    for (const Column& column : table.columns) titles.push_back(column.title);
    WriteCsvRecord(titles, context.out);
    for (const auto& row : table.rows) WriteCsvRecord(row, context.out);
  }
  if (format == "text" && table.rows.size() < listed->size()) {
    context.out << fmt::format("… {} more (--limit 0 shows all)\n", listed->size() - table.rows.size());
  }
  return 0;
}

}  // namespace

const Command kProcessesCommand = {"processes", "what was recorded, and how each process ended", "[PATH…]", 100,
                                   "text,json,markdown,csv", kLimitOnly, Run};

}  // namespace leakhunt::viewer
