// leakhunt-report symbolize: stores the symbols of a recording beside it, while this machine still has them.
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/command.h"
#include "viewer/stored_symbols.h"

namespace leakhunt::viewer {
namespace {

Result<int> Run(Context& context) {
  Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(context.options, context.err);
  if (!chosen) return std::move(chosen.error());
  for (const ChosenSnapshot& one : *chosen) {
    Result<symbolizer::StoredSymbols> stored = StoreSymbolsOf(one, context.options);
    if (!stored) return std::move(stored.error());
    for (const std::string& warning : stored->warnings) context.err << MessageLine("leakhunt-report", warning);
    context.out << CleanText(StoredText(one, *stored)) << "\n";
  }
  return 0;
}

}  // namespace

const Command kSymbolizeCommand = {"symbolize",
                                   "store the symbols a recording needs beside it",
                                   "[PATH…]",
                                   100,
                                   "text",
                                   kSelect | kPick | kSymbols,
                                   Run};

}  // namespace leakhunt::viewer
