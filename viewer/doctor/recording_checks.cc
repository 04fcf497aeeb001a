#include "viewer/doctor/recording_checks.h"

#include <fmt/format.h>

#include "collector/snapshot/process_flags.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

struct FlagText {
  uint32_t flag;
  Health health;
  const char* check;
  const char* what;
  const char* remedy;
};

constexpr FlagText kFlags[] = {
    {snapshot::kOwnMalloc, Health::kProblem, "malloc",
     "the program defines malloc itself: only what its libraries allocate is seen, and what they allocate may be freed unseen",
     "link the allocator as a shared library, or preload it"},
    {snapshot::kSwitchedOff, Health::kProblem, "guest", "the library met an impossible state and stopped recording",
     "please report it with this recording"},
    {snapshot::kSeccomp, Health::kNote, "seccomp", "a seccomp filter was installed: the pages could not grow after that",
     ""},
    {snapshot::kInjected, Health::kNote, "attach", "attached to later: what is older is not known", ""},
    {snapshot::kNoModules, Health::kNote, "modules", "the list of modules could not be read: no symbols", ""},
    {snapshot::kForkedChild, Health::kNote, "fork", "began as a fork: what its parent allocated is shown as inherited", ""},
};

}  // namespace

void CheckRecording(const snapshot::Snapshot& s, Symptoms& symptoms) {
  for (const FlagText& text : kFlags) {
    if (s.process.flags & text.flag) symptoms.push_back({text.health, text.check, text.what, text.remedy});
  }
  if (s.sites.empty() && s.handle_sites.empty()) {
    symptoms.push_back({Health::kProblem, "sites", "nothing was recorded of this process",
                        "ask again with its PID while it runs, or with its command"});
  } else {
    symptoms.push_back({Health::kGood, "sites", fmt::format("{} memory sites and {} handle sites", s.sites.size(),
                                                            s.handle_sites.size()), ""});
  }
  if (s.losses.records > 0) {
    symptoms.push_back({Health::kNote, "losses", fmt::format("{} records ({}) could not be kept",
                        Count(static_cast<double>(s.losses.records)), Bytes(static_cast<double>(s.losses.bytes))),
                        "the program is at a memory limit, or faster than its pages grow"});
  }
  if (!s.losses.gaps.empty()) {
    symptoms.push_back({Health::kNote, "gaps", fmt::format("no collector watched {} times", s.losses.gaps.size()), ""});
  }
  if (s.process.replaced_by_exec) {
    symptoms.push_back({Health::kNote, "exec", "the process replaced itself by exec: the rest is in its next image's recording", ""});
  }
}

}  // namespace leakhunt::viewer
