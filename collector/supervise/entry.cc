#include "collector/supervise/entry.h"

#include <cstdlib>
#include <filesystem>

#include "collector/notice.h"
#include "collector/record/recording_directory.h"
#include "collector/supervise/launch.h"
#include "collector/supervise/search_path.h"

namespace leakhunt::supervise {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

EntryWay WayOf(const std::string& mode) {
  if (mode == "off") return EntryWay::kBare;
  if (mode == "connect") return EntryWay::kPreload;
  if (!mode.empty() && mode != "auto" && mode != "spawn" && mode != "run")
    Warn("LEAKHUNT_COLLECTOR: '" + mode + "' is not auto, connect, spawn or off; using auto");
  return EntryWay::kCollect;
}

// The first directory that can be written: the one asked for, else where a container has its volume.
Status ChooseOutput(Options* options) {
  std::string temporary = Variable("TMPDIR");
  const std::filesystem::path first = options->output_given ? record::AbsoluteOutput(options->output) : "/leakhunt-data";
  const std::filesystem::path last = std::filesystem::path(temporary.empty() ? "/tmp" : temporary) / "leakhunt-data";
  std::string first_why;
  for (const std::filesystem::path& place : {first, std::filesystem::path("/var/lib/leakhunt"), last}) {
    auto why = record::WhyUnwritable(place);
    Status made = why ? Status(Error{*why}) : record::MakeOutput(place);
    if (made && !first_why.empty() && options->output_given)
      Warn("cannot write to " + options->output.native() + ": " + first_why + "; recording in " + place.native());
    if (made) return options->output = place, Ok();
    if (first_why.empty()) first_why = made.error().message;
  }
  return Error{"no writable directory for recordings: set LEAKHUNT_OUTPUT or mount /leakhunt-data"};
}

}  // namespace

Result<EntryWay> SettleEntry(Options* options) {
  const EntryWay way = WayOf(Variable("LEAKHUNT_COLLECTOR"));
  if (way == EntryWay::kBare) return way;
  if (way == EntryWay::kPreload) {
    FoundProgram program = FindProgram(options->command.front());
    if (program.path.empty()) return EntryWay::kBare;  // which says why
    auto usable = FindUsableLibrary(program.path);
    if (!usable) return usable.error();
    if (!usable->warning.empty()) Warn(usable->warning);
    std::string others = Variable("LD_PRELOAD");
    setenv("LD_PRELOAD", (usable->library.native() + (others.empty() ? "" : ":" + others)).c_str(), 1);
    return way;
  }
  if (Status chosen = ChooseOutput(options); !chosen) return chosen.error();
  if (options->socket.empty()) options->socket = Variable("LEAKHUNT_SOCKET");
  return way;
}

}  // namespace leakhunt::supervise
