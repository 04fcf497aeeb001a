#include "viewer/fix_check.h"

#include <algorithm>

#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

using verdict::Verdict;

Judged Judge(const ChosenSnapshot& chosen, std::ostream& err) {
  Loaded loaded;
  loaded.chosen = {chosen};
  loaded.snapshot = std::make_unique<snapshot::Snapshot>(chosen.snapshot);
  return JudgeRecordings(loaded, kVerdictSnapshots, err);
}

bool Leaks(const JudgedSite& site) {
  return site.verdict.verdict == Verdict::kLeaking || site.verdict.verdict == Verdict::kOnset;
}

// The sites of the later run that are this one: equal content, or else equal names.
std::vector<const JudgedSite*> SameSites(const JudgedSite& site, const std::string& names, const Judged& after,
                                         Resolver& after_symbols) {
  std::vector<const JudgedSite*> same;
  for (const JudgedSite& one : after.sites) {
    if (one.key == site.key) same.push_back(&one);
  }
  if (!same.empty() || names.empty()) return same;
  for (const JudgedSite& one : after.sites) {
    if (one.key.kind == site.key.kind && NamesOf(after_symbols.Stack(one.stack)) == names) same.push_back(&one);
  }
  return same;
}

FixState StateOf(const std::vector<const JudgedSite*>& same) {
  if (same.empty()) return FixState::kGone;
  FixState state = FixState::kFixed;
  for (const JudgedSite* site : same) {
    if (Leaks(*site)) return FixState::kStillLeaking;
    if (site->verdict.verdict == Verdict::kInconclusive || site->verdict.verdict == Verdict::kGrowingUnproven) {
      state = FixState::kUndecided;
    }
  }
  return state;
}

FixedSite Check(const JudgedSite& site, Resolver& before_symbols, const Judged& after, Resolver& after_symbols) {
  const std::vector<const JudgedSite*> same =
      SameSites(site, NamesOf(before_symbols.Stack(site.stack)), after, after_symbols);
  FixedSite fixed{site.stack, site.handles, site.type, site.verdict.rate_per_s, StateOf(same), {}, 0, {}, {}};
  const JudgedSite* worst = nullptr;
  for (const JudgedSite* one : same) {
    fixed.rate_after.value += one->verdict.rate_per_s.value;
    fixed.rate_after.low += one->verdict.rate_per_s.low;
    fixed.rate_after.high += one->verdict.rate_per_s.high;
    if (worst == nullptr || MoreSerious(*one, *worst)) worst = one;
  }
  fixed.at_most_per_s = std::max(0.0, fixed.rate_after.high);
  if (worst != nullptr) {
    fixed.verdict_after = verdict::VerdictName(worst->verdict.verdict);
    fixed.needs = worst->verdict.needs;
  }
  return fixed;
}

}  // namespace

const char* FixStateName(FixState state) {
  switch (state) {
    case FixState::kFixed: return "fixed";
    case FixState::kGone: return "gone";
    case FixState::kStillLeaking: return "still-leaking";
    case FixState::kUndecided: return "undecided";
  }
  return "";
}

std::string NamesOf(const ResolvedStack& stack) {
  std::string names;
  for (const ResolvedFrame& frame : stack) {
    if (frame.function.empty() && frame.module.empty()) return "";
    names += frame.function.empty() ? std::string(BaseName(frame.module)) + "?" : frame.function;
    names += '\n';
  }
  return names;
}

FixCheck CheckFixes(const ChosenSnapshot& before, Resolver& before_symbols, const ChosenSnapshot& after,
                    Resolver& after_symbols, std::ostream& err) {
  FixCheck check;
  Judged then = Judge(before, err);
  std::erase_if(then.sites, [](const JudgedSite& site) { return !Leaks(site); });
  if (then.sites.empty()) return check;
  std::sort(then.sites.begin(), then.sites.end(), MoreSerious);
  const Judged now = Judge(after, err);
  if (!now.processes.empty()) check.process_after = now.processes.front().verdict.text;
  for (const JudgedSite& site : then.sites) check.sites.push_back(Check(site, before_symbols, now, after_symbols));
  return check;
}

}  // namespace leakhunt::viewer
