#include "viewer/diff_rows.h"

#include <cmath>
#include <map>

#include "viewer/fix_check.h"
#include "viewer/site_key.h"

namespace leakhunt::viewer {
namespace {

using snapshot::Snapshot;
using snapshot::Weighted;

struct Side {
  Weighted bytes, count;
  uint32_t stack = 0;
  bool present = false;
};

using Sides = std::map<SiteKey, Side>;

Weighted Exact(uint64_t value) {
  Weighted w;
  w.samples = value;
  w.value = static_cast<double>(value);
  return w;
}

Sides Collect(const Snapshot& s) {
  Sides sides;
  for (const snapshot::Site& site : s.sites) {
    Side& side = sides[KeyOf(s, site)];
    side.bytes += site.live_bytes;
    side.count += site.live_count;
    side.stack = site.stack;
    side.present = true;
  }
  for (const snapshot::HandleSite& site : s.handle_sites) {
    Side& side = sides[KeyOf(s, site)];
    side.bytes += Exact(site.open);
    side.count += Exact(site.open);
    side.stack = site.stack;
    side.present = true;
  }
  return sides;
}

std::string TypeOf(uint8_t kind) {
  if (kind >= kHandleKey) return snapshot::HandleTypeName(static_cast<snapshot::HandleType>(kind - kHandleKey));
  return snapshot::SiteKindName(static_cast<snapshot::SiteKind>(kind));
}

DiffRow MakeRow(uint8_t kind, const Side& before, const Side& after) {
  DiffRow row;
  row.type = TypeOf(kind);
  row.handle = kind >= kHandleKey;
  row.before = before.bytes;
  row.after = after.bytes;
  row.count_before = before.count;
  row.count_after = after.count;
  row.gone = !after.present;
  row.fresh = !before.present;
  row.stack = after.present ? after.stack : before.stack;
  return row;
}

bool Named(const ResolvedStack& stack) {
  const ResolvedFrame* own = OwnFrame(stack);
  return own != nullptr && !own->function.empty();
}

using NamedSides = std::map<std::pair<uint8_t, std::string>, Side>;

// Moves what has a name from `sides` to the result, summed by name.
NamedSides TakeNamed(Sides& sides, Resolver& resolver) {
  NamedSides named;
  for (auto at = sides.begin(); at != sides.end();) {
    const ResolvedStack& stack = resolver.Stack(at->second.stack);
    std::string names = Named(stack) ? NamesOf(stack) : "";
    if (names.empty()) {
      ++at;
      continue;
    }
    Side& sum = named[{at->first.kind, names}];
    sum.bytes += at->second.bytes;
    sum.count += at->second.count;
    sum.stack = at->second.stack;
    sum.present = true;
    at = sides.erase(at);
  }
  return named;
}

bool Differs(const DiffRow& row) { return row.Delta() != 0 || row.CountDelta() != 0; }

void Keep(DiffRow row, std::vector<DiffRow>& rows) {
  if (Differs(row)) rows.push_back(std::move(row));
}

void CompareByNames(Sides& before, Sides& after, const DiffSide& left, const DiffSide& right, std::vector<DiffRow>& rows) {
  NamedSides old_names = TakeNamed(before, left.resolver), new_names = TakeNamed(after, right.resolver);
  for (const auto& [key, side] : new_names) {
    auto old = old_names.find(key);
    DiffRow row = MakeRow(key.first, old == old_names.end() ? Side{} : old->second, side);
    row.by_names = old != old_names.end();
    if (old != old_names.end()) old_names.erase(old);
    Keep(std::move(row), rows);
  }
  for (const auto& [key, side] : old_names) Keep(MakeRow(key.first, side, {}), rows);
}

}  // namespace

std::vector<DiffRow> CompareSnapshots(const DiffSide& left, const DiffSide& right) {
  Sides before = Collect(left.snapshot), after = Collect(right.snapshot);
  std::vector<DiffRow> rows;
  for (auto at = after.begin(); at != after.end();) {
    auto old = before.find(at->first);
    if (old == before.end()) {
      ++at;
      continue;
    }
    Keep(MakeRow(at->first.kind, old->second, at->second), rows);
    before.erase(old);
    at = after.erase(at);
  }
  CompareByNames(before, after, left, right, rows);
  for (const auto& [key, side] : after) Keep(MakeRow(key.kind, {}, side), rows);
  for (const auto& [key, side] : before) Keep(MakeRow(key.kind, side, {}), rows);
  return rows;
}

snapshot::Estimate DeltaLimits(const Weighted& before, const Weighted& after) {
  double delta = after.value - before.value;
  double spread = 1.959963984540054 * std::sqrt(before.variance + after.variance);
  return {delta, delta - spread - after.moved_down - before.moved_up, delta + spread + after.moved_up + before.moved_down};
}

}  // namespace leakhunt::viewer
