#include "collector/alert/evaluation.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "collector/snapshot/recording.h"
#include "collector/verdict/history.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::alert {
namespace {

using snapshot::Snapshot;
using verdict::SiteId;
using verdict::Verdict;

constexpr size_t kMostSuspects = 5;

// Code that answers an allocation or opens a descriptor on someone's behalf: never the place to look at.
bool IsRuntimeModule(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().native();
  for (const char* prefix : {"libc.so", "libc-", "ld-", "libstdc++", "libgcc_s", "libleakhunt", "libjemalloc",
                             "libtcmalloc", "libmimalloc", "libm.so", "libpthread"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

std::string Named(const symbolizer::SourceFrame& frame) {
  std::string text = frame.function.substr(0, frame.function.find('('));
  if (!frame.file.empty())
    text += " " + std::filesystem::path(frame.file).filename().native() + ":" + std::to_string(frame.line);
  return text;
}

// "handle_request server.cc:42", or "server+0x1234" where no symbols are found.
std::string PlaceOf(const Snapshot& snapshot, uint32_t stack, symbolizer::Symbolizer* symbolizer) {
  std::string fallback = "unknown stack";
  for (uint32_t index : snapshot.stacks[stack].frames) {
    const snapshot::Frame& frame = snapshot.frames[index];
    if (frame.module == snapshot::kNoModule) continue;
    const snapshot::Module& module = snapshot.modules[frame.module];
    if (IsRuntimeModule(module.path)) continue;
    uint64_t address = frame.offset - ((frame.flags & snapshot::kFrameExact) != 0 ? 0 : 1);
    const auto& sources = symbolizer->Lookup({module.path, module.build_id}, address);
    if (!sources.empty() && !sources.front().function.empty()) return Named(sources.front());
    char offset[32];
    std::snprintf(offset, sizeof(offset), "+0x%llx", static_cast<unsigned long long>(frame.offset));
    return std::filesystem::path(module.path).filename().native() + offset;
  }
  return fallback;
}

struct LastSeen {
  uint32_t stack = 0;
  double live = 0;
};

// Where each site of the newest snapshot is, and what it holds.
std::map<SiteId, LastSeen> SitesOf(const Snapshot& snapshot) {
  std::map<SiteId, LastSeen> sites;
  for (const auto& site : snapshot.sites) {
    LastSeen& seen = sites[verdict::IdOf(snapshot, site)];
    seen.stack = site.stack;
    seen.live += site.live_bytes.value;
  }
  for (const auto& site : snapshot.handle_sites) {
    LastSeen& seen = sites[verdict::IdOf(snapshot, site)];
    seen.stack = site.stack;
    seen.live += static_cast<double>(site.open);
  }
  return sites;
}

bool IsSuspect(const verdict::SiteVerdict& verdict) {
  return verdict.verdict == Verdict::kLeaking || verdict.verdict == Verdict::kOnset;
}

// Everything of the recording that the verdicts need; snapshots are dropped as they are read.
struct Material {
  verdict::HistoryBuilder builder;
  std::vector<snapshot::VitalsPoint> vitals;
  std::optional<Snapshot> last;
  int64_t first_ms = 0;  // of the oldest snapshot read
};

Result<Material> Read(const std::filesystem::path& directory) {
  auto recordings = snapshot::FindRecordings(directory);
  if (!recordings) return recordings.error();
  if (recordings->empty() || recordings->front().files.empty()) return Error{"no snapshots in " + directory.native()};
  const auto& files = recordings->front().files;
  size_t take = std::min(files.size(), kMostSnapshots);
  Material material;
  for (size_t i = 0; i < take; ++i) {
    auto read = snapshot::ReadSnapshot(files[(i + 1) * files.size() / take - 1]);
    if (!read) continue;
    material.builder.Add(*read);
    if (!material.last) material.first_ms = read->time_ms;
    material.vitals.insert(material.vitals.end(), read->vitals.begin(), read->vitals.end());
    material.last = std::move(*read);
  }
  if (!material.last) return Error{"no readable snapshot in " + directory.native()};
  return material;
}

std::vector<verdict::JudgedSite> Judged(const std::vector<SiteId>& ids,
                                        const std::vector<verdict::SiteVerdict>& verdicts) {
  std::vector<verdict::JudgedSite> judged;
  for (size_t i = 0; i < ids.size(); ++i) {
    bool handles = ids[i].kind >= verdict::kHandleSite;
    judged.push_back(
        {handles, handles ? snapshot::SiteKind::kHeap : static_cast<snapshot::SiteKind>(ids[i].kind), verdicts[i]});
  }
  return judged;
}

std::vector<verdict::Suspect> Suspects(const Material& material, const std::vector<SiteId>& ids,
                                       const std::vector<verdict::SiteVerdict>& verdicts) {
  std::map<SiteId, LastSeen> sites = SitesOf(*material.last);
  symbolizer::Symbolizer symbolizer({});
  std::vector<std::pair<SiteId, verdict::Suspect>> found;
  for (size_t i = 0; i < ids.size(); ++i) {
    auto site = sites.find(ids[i]);
    if (!IsSuspect(verdicts[i]) || site == sites.end()) continue;
    bool handles = ids[i].kind >= verdict::kHandleSite;
    found.push_back(
        {ids[i], {"", ids[i].content_hash, handles, verdicts[i].verdict, verdicts[i].rate_while_active, site->second.live}});
  }
  // Memory before handles (their rates do not compare), the fastest first.
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    if (a.second.handles != b.second.handles) return b.second.handles;
    return a.second.rate_per_s.value > b.second.rate_per_s.value;
  });
  std::vector<verdict::Suspect> suspects;
  for (size_t i = 0; i < found.size(); ++i) {
    if (i < kMostSuspects) found[i].second.place = PlaceOf(*material.last, sites[found[i].first].stack, &symbolizer);
    suspects.push_back(std::move(found[i].second));
  }
  return suspects;
}

}  // namespace

Result<verdict::AlertInput> Evaluate(const std::filesystem::path& recording) {
  auto material = Read(recording);
  if (!material) return material.error();
  verdict::HistoryBuilder::Histories histories = material->builder.Build();
  std::vector<verdict::SiteVerdict> verdicts = verdict::Judge(histories.sites);
  verdict::AlertInput input;
  input.time_ms = material->last->time_ms;
  input.watched_ms = input.time_ms - material->first_ms;
  input.name = material->last->process.name;
  input.pid = material->last->process.pid;
  input.process = verdict::JudgeProcess(material->vitals, material->last->limits, Judged(histories.ids, verdicts));
  input.suspects = Suspects(*material, histories.ids, verdicts);
  return input;
}

}  // namespace leakhunt::alert
