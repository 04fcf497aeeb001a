#include "collector/snapshot/row_check.h"

#include <fmt/format.h>

#include <cmath>

#include "collector/snapshot/message.h"

namespace leakhunt::snapshot {
namespace {

bool Figure(double v) { return std::isfinite(v) && v >= 0; }

bool Figures(const Weighted& w) {
  return Figure(w.value) && Figure(w.variance) && Figure(w.largest_weight) && Figure(w.moved_down) &&
         Figure(w.moved_up);
}

}  // namespace

void RowCheck::Name(const char* what, size_t row, uint64_t index, Furthest* furthest) {
  if (!furthest->any || index > furthest->named) *furthest = {what, row, index, true};
}

Status RowCheck::Within(const Furthest& furthest, const char* target, size_t size) {
  if (!furthest.any || furthest.named < size) return Ok();
  return Error{fmt::format("{} {} names {} {} of {}", furthest.what, furthest.row, target, furthest.named, size)};
}

void RowCheck::Refuse(const char* what, size_t row, const char* why) {
  if (defect_) defect_ = Error{fmt::format("{} {} {}", what, row, why)};
}

void RowCheck::Add(const Stack& stack) {
  for (const uint32_t frame : stack.frames) Name("stack", stacks_, frame, &frame_);
  ++stacks_;
}

void RowCheck::Add(const Site& site) {
  const size_t row = sites_++;
  if (site.kind > SiteKind::kThread) Refuse("site", row, "is of an unknown kind");
  Name("site", row, site.stack, &stack_);
  Name("site", row, site.scope, &scope_);
  bool sound = Figures(site.live_bytes) && Figures(site.live_count) && Figures(site.total_bytes) &&
               Figures(site.total_count) && Figure(site.freed_bytes) && Figure(site.reserved_bytes);
  for (const Cohort& c : site.cohorts) sound = sound && Figure(c.live_bytes) && Figure(c.live_count);
  if (!sound) Refuse("site", row, "has an impossible figure");
  AddShares("site", row, site.threads);
}

void RowCheck::AddHandleSite(size_t row, const HandleSite& site) {
  if (static_cast<int>(site.type) >= kHandleTypes) Refuse("handle site", row, "is of an unknown type");
  Name("handle site", row, site.stack, &stack_);
  AddShares("handle site", row, site.threads);
}

void RowCheck::AddShares(const char* what, size_t row, const std::vector<ThreadShare>& shares) {
  for (const ThreadShare& share : shares) {
    Name(what, row, share.thread, &thread_);
    if (!Figure(share.live_bytes) || !Figure(share.live_count)) Refuse(what, row, "has an impossible figure");
  }
}

Status RowCheck::Finish(const Snapshot& s) {
  for (size_t i = 0; i < s.handle_sites.size(); ++i) AddHandleSite(i, s.handle_sites[i]);
  for (size_t i = 0; i < s.untracked.size(); ++i) {
    if (static_cast<int>(s.untracked[i].type) >= kHandleTypes) Refuse("untracked handle", i, "is of an unknown type");
  }
  if (!defect_) return defect_;
  Furthest module;
  for (size_t i = 0; i < s.frames.size(); ++i) {
    if (s.frames[i].module != kNoModule) Name("frame", i, s.frames[i].module, &module);
  }
  if (Status within = Within(module, "module", s.modules.size()); !within) return within;
  if (Status within = Within(frame_, "frame", s.frames.size()); !within) return within;
  if (Status within = Within(stack_, "stack", stacks_); !within) return within;
  if (Status within = Within(scope_, "scope", s.scopes.size()); !within) return within;
  if (Status within = Within(thread_, "thread", s.threads.size()); !within) return within;
  if (s.mapping_bytes > MappingBytes::kEstimated) return Error{"its mappings are measured in an unknown way"};
  if (s.process.end > End::kLost) return Error{"the process ended in an unknown way"};
  return Ok();
}

Status Validate(const Snapshot& snapshot) {
  RowCheck check;
  AddRows(snapshot, &check);
  return check.Finish(snapshot);
}

}  // namespace leakhunt::snapshot
