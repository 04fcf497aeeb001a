// leakhunt-report bundle: a recording and its symbols in one file, for another machine.
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/export/archive.h"
#include "viewer/stored_symbols.h"

namespace leakhunt::viewer {
namespace {

Result<int> Run(Context& context) {
  if (context.terminal.shown && (context.options.output.empty() || context.options.output == "-")) {
    return Error{"a bundle is not text: give -o FILE.tar.gz", 2};
  }
  Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(context.options, context.err);
  if (!chosen) return std::move(chosen.error());
  ArchiveWriter archive(context.out);
  for (const ChosenSnapshot& one : *chosen) {
    Result<symbolizer::StoredSymbols> stored = StoreSymbolsOf(one, context.options);
    if (!stored) return std::move(stored.error());
    for (const std::string& warning : stored->warnings) context.err << MessageLine("leakhunt-report", warning);
    std::error_code error;
    const std::filesystem::path directory = std::filesystem::canonical(
        one.recording.directory.empty() ? "." : one.recording.directory, error);
    if (error) return Error{"cannot read " + one.recording.directory.string() + ": " + error.message()};
    Status added = archive.AddDirectory(directory, directory.filename());
    if (!added) return std::move(added.error());
  }
  archive.Finish();
  return 0;
}

}  // namespace

const Command kBundleCommand = {"bundle",
                                "a recording with its symbols as one tar.gz, for another machine",
                                "[PATH…]",
                                100,
                                "tar.gz",
                                kSelect | kPick | kSymbols,
                                Run};

}  // namespace leakhunt::viewer
