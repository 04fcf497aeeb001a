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

bool IsText(const std::string& format) { return format != "pprof" && format != "otlp" && format != "sqlite"; }

Status Write(const std::string& format, const Profile& profile, size_t value, std::ostream& out) {
  if (format == "pprof") ExportPprof(profile, out);
  if (format == "collapsed") ExportCollapsed(profile, value, out);
  if (format == "speedscope") ExportSpeedscope(profile, out);
  if (format == "firefox") ExportFirefox(profile, out);
  if (format == "heaptrack") ExportHeaptrack(profile, out);
  if (format == "otlp") ExportOtlp(profile, out);
  if (format == "csv") ExportCsv(profile, out);
  if (format == "sqlite") return ExportSqlite(profile, out);
  return Ok();
}

Result<int> Run(Context& context) {
  const Options& options = context.options;
  if (!IsText(options.format) && context.terminal.shown && (options.output.empty() || options.output == "-")) {
    return Error{"a file of format " + options.format + " is not text: give -o FILE", 2};
  }
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Result<Profile> profile = ChosenProfile(*loaded, options);
  if (!profile) return std::move(profile.error());
  Result<size_t> value = ChosenValue(*profile, options);
  if (!value) return std::move(value.error());
  if (Status written = Write(options.format, *profile, *value, context.out); !written) return std::move(written.error());
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kExportCommand = {"export",
                                "the snapshot in the format of another program",
                                "[PATH…]",
                                100,
                                "pprof,collapsed,speedscope,firefox,heaptrack,otlp,csv,sqlite",
                                kSelect | kPick | kFilter | kSymbols | kMemoryOrHandles | kValue,
                                Run};

}  // namespace leakhunt::viewer
