// Symbols of a recording, stored beside it: what `symbolize` and `bundle` do.
#pragma once

#include "collector/base/result.h"
#include "symbolizer/bundle.h"
#include "viewer/options.h"
#include "viewer/selection.h"

namespace leakhunt::viewer {

// Stores the debug files of the modules that the snapshot's stacks go through in the recording's symbols/ directory.
Result<symbolizer::StoredSymbols> StoreSymbolsOf(const ChosenSnapshot& chosen, const Options& options);

// "symbols of 3 of 4 modules in DIR/symbols (2 new files, 5.10 MiB)".
std::string StoredText(const ChosenSnapshot& chosen, const symbolizer::StoredSymbols& stored);

}  // namespace leakhunt::viewer
