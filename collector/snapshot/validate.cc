// What must hold of a snapshot before anybody indexes with it. Used on both ways: a writer that would store what no
// reader accepts gets the error at once.
#include <fmt/format.h>

#include <cmath>

#include "collector/snapshot/message.h"

namespace leakhunt::snapshot {
namespace {

Error OutOfRange(const char* what, size_t index, const char* target, uint64_t value, size_t size) {
  return Error{fmt::format("{} {} names {} {} of {}", what, index, target, value, size)};
}

bool Figure(double v) { return std::isfinite(v) && v >= 0; }

bool Figures(const Weighted& w) {
  return Figure(w.value) && Figure(w.variance) && Figure(w.largest_weight) && Figure(w.moved_down) &&
         Figure(w.moved_up);
}

Status CheckStacks(const Snapshot& s) {
  for (size_t i = 0; i < s.frames.size(); ++i) {
    uint32_t module = s.frames[i].module;
    if (module != kNoModule && module >= s.modules.size()) {
      return OutOfRange("frame", i, "module", module, s.modules.size());
    }
  }
  for (size_t i = 0; i < s.stacks.size(); ++i) {
    for (uint32_t frame : s.stacks[i].frames) {
      if (frame >= s.frames.size()) return OutOfRange("stack", i, "frame", frame, s.frames.size());
    }
  }
  return Ok();
}

Status CheckShares(const Snapshot& s, const char* what, size_t i, const std::vector<ThreadShare>& shares) {
  for (const ThreadShare& share : shares) {
    if (share.thread >= s.threads.size()) return OutOfRange(what, i, "thread", share.thread, s.threads.size());
    if (!Figure(share.live_bytes) || !Figure(share.live_count)) {
      return Error{fmt::format("{} {} has an impossible figure", what, i)};
    }
  }
  return Ok();
}

Status CheckSite(const Snapshot& s, size_t i) {
  const Site& site = s.sites[i];
  if (site.kind > SiteKind::kThread) return Error{fmt::format("site {} is of an unknown kind", i)};
  if (site.stack >= s.stacks.size()) return OutOfRange("site", i, "stack", site.stack, s.stacks.size());
  if (site.scope >= s.scopes.size()) return OutOfRange("site", i, "scope", site.scope, s.scopes.size());
  bool sound = Figures(site.live_bytes) && Figures(site.live_count) && Figures(site.total_bytes) &&
               Figures(site.total_count) && Figure(site.freed_bytes);
  for (const Cohort& c : site.cohorts) sound = sound && Figure(c.live_bytes) && Figure(c.live_count);
  if (!sound) return Error{fmt::format("site {} has an impossible figure", i)};
  return CheckShares(s, "site", i, site.threads);
}

Status CheckHandleSite(const Snapshot& s, size_t i) {
  const HandleSite& site = s.handle_sites[i];
  if (static_cast<int>(site.type) >= kHandleTypes) {
    return Error{fmt::format("handle site {} is of an unknown type", i)};
  }
  if (site.stack >= s.stacks.size()) return OutOfRange("handle site", i, "stack", site.stack, s.stacks.size());
  return CheckShares(s, "handle site", i, site.threads);
}

}  // namespace

Status Validate(const Snapshot& s) {
  if (Status stacks = CheckStacks(s); !stacks) return stacks;
  for (size_t i = 0; i < s.sites.size(); ++i) {
    if (Status site = CheckSite(s, i); !site) return site;
  }
  for (size_t i = 0; i < s.handle_sites.size(); ++i) {
    if (Status site = CheckHandleSite(s, i); !site) return site;
  }
  for (size_t i = 0; i < s.untracked.size(); ++i) {
    if (static_cast<int>(s.untracked[i].type) >= kHandleTypes) {
      return Error{fmt::format("untracked handle {} is of an unknown type", i)};
    }
  }
  if (s.process.end > End::kLost) return Error{"the process ended in an unknown way"};
  return Ok();
}

}  // namespace leakhunt::snapshot
