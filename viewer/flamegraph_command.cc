// leakhunt-report flamegraph: one HTML file that shows where memory or handles are held.
#include <ostream>

#include "viewer/command.h"
#include "viewer/loaded_report.h"
#include "viewer/profile_of.h"
#include "viewer/render/flamegraph.h"

namespace leakhunt::viewer {
namespace {

Result<int> Run(Context& context) {
  Result<Loaded> loaded = Load(context, 1);
  if (!loaded) return std::move(loaded.error());
  Result<Profile> profile = ChosenProfile(*loaded, context.options);
  if (!profile) return std::move(profile.error());
  const std::string title = profile->process + " (" + std::to_string(profile->pid) + "): " +
                            (context.options.handles ? "handles" : "memory") + " by call site";
  RenderFlameGraph(*profile, title, context.out);
  SayWarnings(*loaded->resolver, context);
  return 0;
}

}  // namespace

const Command kFlameGraphCommand = {"flamegraph",
                                    "one self-contained HTML file: memory or handles by call stack",
                                    "[PATH…]",
                                    100,
                                    "html",
                                    kSelect | kPick | kFilter | kSymbols | kMemoryOrHandles,
                                    Run};

}  // namespace leakhunt::viewer
