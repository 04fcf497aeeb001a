// Storing symbols beside a recording; see stored_symbols.h.
#include "viewer/stored_symbols.h"

#include <fmt/format.h>

#include <set>

#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

std::vector<symbolizer::ModuleId> ModulesInStacks(const snapshot::Snapshot& snapshot) {
  std::set<uint32_t> used;
  for (const snapshot::Frame& frame : snapshot.frames) used.insert(frame.module);
  std::vector<symbolizer::ModuleId> modules;
  for (uint32_t module : used) {
    if (module >= snapshot.modules.size()) continue;
    modules.push_back({snapshot.modules[module].path, snapshot.modules[module].build_id});
  }
  return modules;
}

}  // namespace

Result<symbolizer::StoredSymbols> StoreSymbolsOf(const ChosenSnapshot& chosen, const Options& options) {
  symbolizer::Options where;
  where.debug_dirs = options.debug_dirs;
  where.sysroot = options.sysroot;
  const std::filesystem::path directory = chosen.recording.directory / "symbols";
  where.bundle_dir = directory;
  return symbolizer::StoreSymbols(ModulesInStacks(chosen.snapshot), where, directory);
}

std::string StoredText(const ChosenSnapshot& chosen, const symbolizer::StoredSymbols& stored) {
  return fmt::format("symbols of {} of {} modules in {} ({} new file{}, {})", stored.modules,
                     ModulesInStacks(chosen.snapshot).size(), (chosen.recording.directory / "symbols").string(),
                     stored.written, stored.written == 1 ? "" : "s", Bytes(static_cast<double>(stored.written_bytes)));
}

}  // namespace leakhunt::viewer
