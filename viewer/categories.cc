#include "viewer/categories.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "collector/verdict/phrase.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

constexpr int kGrows = 2;  // leaking, onset, growing-unproven

void Add(const snapshot::Estimate& from, double share, snapshot::Estimate& into) {
  into.value += from.value * share;
  into.low += from.low * share;
  into.high += from.high * share;
}

using Shares = std::map<std::string, double>;  // by name, adding up to 1
using SharesOfSites = std::unordered_map<SiteKey, Shares>;

SharesOfSites ThreadShares(const snapshot::Snapshot& s) {
  SharesOfSites shares;
  for (const snapshot::Site& site : s.sites) {
    Shares& one = shares[KeyOf(s, site)];
    for (const snapshot::ThreadShare& share : site.threads) {
      const std::string& name = s.threads[share.thread].name;
      one[name.empty() ? "(unnamed thread)" : name] += share.live_bytes;
    }
  }
  for (auto at = shares.begin(); at != shares.end();) {
    double sum = 0;
    for (const auto& [name, bytes] : at->second) sum += bytes;
    for (auto& [name, bytes] : at->second) bytes /= sum;
    at = sum > 0 ? std::next(at) : shares.erase(at);
  }
  return shares;
}

}  // namespace

Result<Patterns> Patterns::Make(const std::vector<std::string>& spelled) {
  Patterns patterns;
  for (const std::string& one : spelled) {
    const size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == one.size()) {
      return Error{fmt::format("--pattern {}: should be NAME=REGEX", one), 2};
    }
    Result<StackFilter> filter = StackFilter::Make(one.substr(equals + 1));
    if (!filter) return Error{fmt::format("--pattern {}: not a regular expression", one), 2};
    patterns.patterns_.emplace_back(one.substr(0, equals), std::move(*filter));
  }
  return patterns;
}

const std::string& Patterns::NameOf(const ResolvedStack& stack) const {
  static const std::string kOther = "(other)";
  for (const auto& [name, filter] : patterns_) {
    if (filter.Matches(stack, {})) return name;
  }
  return kOther;
}

Result<std::vector<CategoryGrowth>> GrowthByCategory(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded,
                                                     const Options& options) {
  if (options.by != By::kSite && options.by != By::kScope && options.by != By::kThread && options.by != By::kPattern) {
    return Error{"--by: growth is summed by scope, thread or pattern", 2};
  }
  Result<Patterns> patterns = Patterns::Make(options.patterns);
  if (!patterns) return std::move(patterns.error());
  const bool by_thread = options.by == By::kThread, by_pattern = !by_thread && !patterns->Empty();
  const SharesOfSites threads = by_thread ? ThreadShares(*loaded.snapshot) : SharesOfSites();
  std::map<std::string, CategoryGrowth> by_name;
  bool named = by_thread || by_pattern;
  double bytes = 0, handles = 0;
  for (size_t i : sites) {
    const JudgedSite& site = judged.sites[i];
    if (Concern(site.verdict.verdict) > kGrows) continue;
    named |= !site.scope.empty();
    Shares shares = {{site.scope.empty() ? "(none)" : site.scope, 1}};
    if (by_pattern) shares = {{patterns->NameOf(loaded.resolver->Stack(site.stack)), 1}};
    if (by_thread) {
      auto known = threads.find(site.key);
      shares = known == threads.end() ? Shares{{"(thread not known)", 1}} : known->second;
    }
    for (const auto& [name, share] : shares) {
      CategoryGrowth& category = by_name[name];
      category.name = name;
      ++category.sites;
      Add(site.verdict.rate_per_s, share, site.handles ? category.handles_per_s : category.bytes_per_s);
    }
    (site.handles ? handles : bytes) += std::max(0.0, site.verdict.rate_per_s.value);
  }
  std::vector<CategoryGrowth> categories;
  for (auto& [name, category] : by_name) {
    if (!named) break;
    category.share = bytes > 0     ? std::max(0.0, category.bytes_per_s.value) / bytes
                     : handles > 0 ? std::max(0.0, category.handles_per_s.value) / handles
                                   : 0;
    categories.push_back(std::move(category));
  }
  std::sort(categories.begin(), categories.end(), [](const CategoryGrowth& a, const CategoryGrowth& b) {
    if (a.bytes_per_s.value != b.bytes_per_s.value) return a.bytes_per_s.value > b.bytes_per_s.value;
    return a.handles_per_s.value > b.handles_per_s.value;
  });
  return categories;
}

std::string CategoryText(const std::vector<CategoryGrowth>& categories) {
  std::string text;
  for (const CategoryGrowth& category : categories) {
    text += fmt::format("{}{}", text.empty() ? "by category: " : ", ", Printable(category.name));
    if (category.bytes_per_s.value != 0) text += " " + verdict::PerTime(category.bytes_per_s.value, false);
    if (category.handles_per_s.value != 0) text += " " + verdict::PerTime(category.handles_per_s.value, true);
    text += fmt::format(" ({:.0f} % of the growth)", category.share * 100);
  }
  return text;
}

}  // namespace leakhunt::viewer
