// From sites and resolved stacks to samples; see profile_of.h.
#include "viewer/profile_of.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "collector/base/clean_text.h"
#include "viewer/render/preamble.h"
#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

// Sums of weights, whose largest is far below 2^63; not a number and negative ones cannot come from a sound snapshot.
int64_t Whole(double value) { return value >= 0 && value < 9e18 ? std::llround(value) : 0; }

class ProfileBuilder {
 public:
  ProfileBuilder(Loaded& loaded, const StackFilter& filter);

  void Add(uint32_t stack, std::vector<int64_t> values, std::vector<ProfileLabel> labels);
  Profile& profile() { return profile_; }

 private:
  void AddModules();
  uint32_t Frame(const ResolvedFrame& frame);

  Loaded& loaded_;
  const StackFilter& filter_;
  Profile profile_;
  std::unordered_map<std::string, uint32_t> modules_;  // by path and build-id
  std::unordered_map<std::string, uint32_t> frames_;   // by all that is in them
};

ProfileBuilder::ProfileBuilder(Loaded& loaded, const StackFilter& filter) : loaded_(loaded), filter_(filter) {
  const snapshot::Snapshot& s = *loaded.snapshot;
  profile_.process = s.process.name;
  profile_.command = s.process.command;
  profile_.pid = s.process.pid;
  profile_.time_ms = s.time_ms;
  if (s.process.started_ms > 0) profile_.age_ms = std::max<int64_t>(0, s.time_ms - s.process.started_ms);
  profile_.period = s.sampling.exact ? 1 : s.sampling.mean_bytes;
  profile_.comments = Preamble(loaded);
  AddModules();
}

// The program's own module first: that is where readers look for its name.
void ProfileBuilder::AddModules() {
  const snapshot::Snapshot& s = *loaded_.snapshot;
  for (bool program : {true, false}) {
    for (const snapshot::Module& module : s.modules) {
      if ((module.path == s.process.executable) != program) continue;
      const uint32_t next = static_cast<uint32_t>(profile_.modules.size());
      if (!modules_.try_emplace(module.path + '\0' + module.build_id, next).second) continue;
      profile_.modules.push_back({module.path, module.build_id, module.start, module.end, module.bias});
    }
  }
}

uint32_t ProfileBuilder::Frame(const ResolvedFrame& frame) {
  const auto module = modules_.find(frame.module + '\0' + frame.build_id);
  const uint32_t index = frame.module.empty() || module == modules_.end() ? kNoProfileModule : module->second;
  const std::string key = frame.function + '\0' + frame.file + '\0' + std::to_string(frame.line) + ':' +
                          std::to_string(frame.column) + ':' + std::to_string(index) + ':' +
                          std::to_string(frame.offset) + (frame.inlined ? 'i' : 'p');
  auto [found, added] = frames_.try_emplace(key, static_cast<uint32_t>(profile_.frames.size()));
  if (added) {
    profile_.frames.push_back(
        {frame.function, frame.file, frame.line, frame.column, index, frame.offset, frame.inlined});
  }
  return found->second;
}

void ProfileBuilder::Add(uint32_t stack, std::vector<int64_t> values, std::vector<ProfileLabel> labels) {
  bool nothing = true;
  for (int64_t value : values) nothing &= value == 0;
  if (nothing) return;
  const ResolvedStack& resolved = loaded_.resolver->Stack(stack);
  std::vector<std::string> texts;
  for (const ProfileLabel& label : labels) texts.push_back(label.value);
  if (!filter_.Matches(resolved, texts)) return;
  ProfileSample sample{{}, std::move(values), std::move(labels)};
  for (const ResolvedFrame& frame : resolved) sample.frames.push_back(Frame(frame));
  profile_.samples.push_back(std::move(sample));
}

// What other programs chose, cleaned for every exporter and for the flame graph. Formats escape their own characters.
Profile Cleaned(Profile profile) {
  const auto clean = [](std::string& text) { text = CleanText(text); };
  clean(profile.process);
  for (std::string& word : profile.command) clean(word);
  for (ProfileModule& module : profile.modules) clean(module.path);
  for (ProfileFrame& frame : profile.frames) clean(frame.function), clean(frame.file);
  for (ProfileSample& sample : profile.samples) {
    for (ProfileLabel& label : sample.labels) clean(label.key), clean(label.value);
  }
  for (std::string& comment : profile.comments) clean(comment);
  return profile;
}

}  // namespace

Result<Profile> MemoryProfile(Loaded& loaded, const Options& options) {
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  ProfileBuilder builder(loaded, *filter);
  builder.profile().value_types = {{"alloc_objects", "count", "all allocations"},
                                   {"alloc_space", "bytes", "all bytes allocated"},
                                   {"inuse_objects", "count", "live blocks"},
                                   {"inuse_space", "bytes", "live bytes"}};
  const snapshot::Snapshot& s = *loaded.snapshot;
  for (const snapshot::Site& site : s.sites) {
    std::vector<ProfileLabel> labels = {{"kind", snapshot::SiteKindName(site.kind)}};
    if (site.scope != 0 && site.scope < s.scopes.size()) labels.push_back({"scope", s.scopes[site.scope]});
    builder.Add(site.stack,
                {Whole(site.total_count.value), Whole(site.total_bytes.value), Whole(site.live_count.value),
                 Whole(site.live_bytes.value)},
                std::move(labels));
  }
  return Cleaned(std::move(builder.profile()));
}

Result<Profile> HandleProfile(Loaded& loaded, const Options& options) {
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  ProfileBuilder builder(loaded, *filter);
  builder.profile().value_types = {{"opened_handles", "count", "all handles opened"},
                                   {"open_handles", "count", "open handles"}};
  builder.profile().period = 1;
  for (const snapshot::HandleSite& site : loaded.snapshot->handle_sites) {
    builder.Add(site.stack, {static_cast<int64_t>(site.opened), static_cast<int64_t>(site.open)},
                {{"type", snapshot::HandleTypeName(site.type)}});
  }
  return Cleaned(std::move(builder.profile()));
}

Result<Profile> ChosenProfile(Loaded& loaded, const Options& options) {
  return options.handles ? HandleProfile(loaded, options) : MemoryProfile(loaded, options);
}

}  // namespace leakhunt::viewer
