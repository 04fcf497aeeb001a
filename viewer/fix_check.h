// Fix and verify: what has become, in a later run, of the sites that leaked in an earlier one.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "viewer/judged.h"
#include "viewer/selection.h"

namespace leakhunt::viewer {

enum class FixState : uint8_t {
  kFixed,         // judged, and neither leaking nor growing: the rate is at most `at_most_per_s`
  kGone,          // the later run never came by this site
  kStillLeaking,
  kUndecided,     // the later run is too short to tell: `needs`
};
const char* FixStateName(FixState state);  // "fixed", "gone", "still-leaking", "undecided"

struct FixedSite {
  uint32_t stack = 0;  // in the earlier snapshot
  bool handles = false;
  std::string type;
  snapshot::Estimate rate_before;  // bytes, or handles, a second
  FixState state = FixState::kUndecided;
  snapshot::Estimate rate_after;   // summed over the sites of the same function names
  double at_most_per_s = 0;        // upper 95 % limit of rate_after; never below 0
  std::string verdict_after, needs;
};

struct FixCheck {
  std::vector<FixedSite> sites;   // those that leaked before, fastest first
  std::string process_after;      // the later process's verdict in one sentence
};

// Both recordings judged over all their snapshots; sites are matched by content, or by the names of the functions on the
// stack when the builds differ. Empty when nothing leaked before.
FixCheck CheckFixes(const ChosenSnapshot& before, Resolver& before_symbols, const ChosenSnapshot& after,
                    Resolver& after_symbols, std::ostream& err);

// The stack as a sequence of names, one a line; empty when a frame has none, so that nothing is matched by guess.
std::string NamesOf(const ResolvedStack& stack);

}  // namespace leakhunt::viewer
