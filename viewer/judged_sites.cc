#include "viewer/judged_sites.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "viewer/render/units.h"
#include "viewer/stack_filter.h"

namespace leakhunt::viewer {
namespace {

// The figure of --sort, larger first.
double Rank(const JudgedSite& site, Sort sort) {
  switch (sort) {
    case Sort::kLiveCount: return site.handles ? site.live.value : site.live_count.value;
    case Sort::kTotalBytes: return site.total_bytes.value;
    case Sort::kGrowth: return site.verdict.rate_per_s.value;
    case Sort::kAge: return site.oldest_birth_ms == 0 ? -1e300 : -static_cast<double>(site.oldest_birth_ms);
    case Sort::kLiveBytes: break;
  }
  return site.live.value;
}

// Freed memory that the allocator holds looks like a leak to whoever watches RSS: said outright when it is most of it.
std::string SlackNote(const std::vector<verdict::MemoryPart>& parts, double whole) {
  constexpr double kMatters = 8.0 * 1024 * 1024;
  double slack = 0, live = 0;
  for (const verdict::MemoryPart& part : parts) {
    if (std::string_view(part.name) == "allocator slack") slack = part.bytes;
    if (std::string_view(part.name) == "live heap") live = part.bytes;
  }
  if (slack < kMatters || slack * 2 < whole) return "";
  return fmt::format("note: fragmentation, not a leak: the allocator holds {} that the program has freed, beside {} that is "
                     "live; malloc_trim, another allocator or fewer arenas (MALLOC_ARENA_MAX) give it back",
                     Bytes(slack), Bytes(live));
}

}  // namespace

Result<std::vector<size_t>> SitesOf(const Judged& judged, Loaded& loaded, const Options& options) {
  Result<StackFilter> filter = StackFilter::Make(options.filter);
  if (!filter) return std::move(filter.error());
  std::vector<size_t> sites;
  for (size_t i = 0; i < judged.sites.size(); ++i) {
    const JudgedSite& site = judged.sites[i];
    if (options.filter.empty() || filter->Matches(loaded.resolver->Stack(site.stack), {site.scope})) sites.push_back(i);
  }
  std::stable_sort(sites.begin(), sites.end(), [&](size_t a, size_t b) {
    const JudgedSite &x = judged.sites[a], &y = judged.sites[b];
    if (options.sort == Sort::kLiveBytes) return MoreSerious(x, y);
    return Rank(x, options.sort) > Rank(y, options.sort);
  });
  return sites;
}

std::vector<std::string> ProcessLines(const Judged& judged) {
  std::vector<std::string> lines;
  for (const JudgedProcess& process : judged.processes) {
    bool one = judged.processes.size() == 1;
    std::string who = one ? "process" : fmt::format("{}[{}]", Printable(process.process.name), process.process.pid);
    lines.push_back(who + ": " + process.verdict.text);
    if (!one) continue;
    double whole = 0;
    std::string parts;
    for (const verdict::MemoryPart& part : process.verdict.parts) {
      bool counted = std::string_view(part.name) != "page tables";
      if (counted) whole += part.bytes;
      if (!counted || std::abs(part.bytes) < 4096) continue;
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", part.name, Bytes(part.bytes));
    }
    if (!parts.empty()) lines.push_back(fmt::format("RSS {}: {}", Bytes(whole), parts));
    if (std::string note = SlackNote(process.verdict.parts, whole); !note.empty()) lines.push_back(note);
  }
  return lines;
}

std::string VerdictCounts(const Judged& judged, const std::vector<size_t>& sites) {
  std::array<size_t, 8> counts{};
  for (size_t i : sites) ++counts[static_cast<size_t>(judged.sites[i].verdict.verdict)];
  std::string text;
  for (size_t v = 0; v < counts.size(); ++v) {
    if (counts[v] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[v], verdict::VerdictName(static_cast<verdict::Verdict>(v)));
  }
  return text.empty() ? "no sites" : text;
}

}  // namespace leakhunt::viewer
