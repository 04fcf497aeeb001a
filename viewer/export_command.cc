// leakhunt-report export: the snapshot in the format of another program.
#include <ostream>

#include "viewer/command.h"
#include "viewer/export/export.h"
#include "viewer/loaded_report.h"
#include "viewer/profile_of.h"

namespace leakhunt::viewer {
namespace {

// Collapsed stacks have room for one value.
Result<size_t> ChosenValue(const Profile& profile, const Options& options) {
  if (options.value.empty()) return profile.value_types.size() - 1;
  const size_t value = FindValueType(profile, options.value);
  if (value < profile.value_types.size()) return value;
  std::string known;
  for (const ValueType& type : profile.value_types) known += (known.empty() ? "" : ", ") + type.name;
  return Error{"--value: " + options.value + " is not one of " + known, 2};
}

Result<int> Run(Context& context) {
  const Options& options = context.options;
  if (options.format == "pprof" && context.terminal.shown && (options.output.empty() || options.output == "-")) {
    return Error{"a pprof file is not text: give -o FILE", 2};
  }
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Result<Profile> profile = ChosenProfile(*loaded, options);
  if (!profile) return std::move(profile.error());
  Result<size_t> value = ChosenValue(*profile, options);
  if (!value) return std::move(value.error());
  if (options.format == "pprof") ExportPprof(*profile, context.out);
  if (options.format == "collapsed") ExportCollapsed(*profile, *value, context.out);
  if (options.format == "speedscope") ExportSpeedscope(*profile, context.out);
  if (options.format == "csv") ExportCsv(*profile, context.out);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kExportCommand = {"export",
                                "the snapshot in the format of another program",
                                "[PATH…]",
                                100,
                                "pprof,collapsed,speedscope,csv",
                                kSelect | kPick | kFilter | kSymbols | kMemoryOrHandles | kValue,
                                Run};

}  // namespace leakhunt::viewer
