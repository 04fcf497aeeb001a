#include "viewer/render/preamble.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "collector/snapshot/process_flags.h"
#include "collector/verdict/consistency.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

using snapshot::End;
using snapshot::Snapshot;

std::string SignalText(int signal) {
  const char* description = ::sigdescr_np(signal);
  return description == nullptr ? fmt::format("signal {}", signal) : fmt::format("signal {} ({})", signal, description);
}

std::string SamplingText(const Snapshot& s) {
  if (s.sampling.exact) return "every allocation was recorded";
  std::string text = fmt::format("sampled, one in {} on average; ± is the 95 % interval",
                                 Bytes(static_cast<double>(s.sampling.mean_bytes)));
  if (s.sampling.measured_overhead_percent > 0) {
    text += fmt::format("; own cost {:.2f} % CPU", s.sampling.measured_overhead_percent);
  }
  return text;
}

void AddWhatIsUnseen(const snapshot::ProcessInfo& process, std::vector<std::string>& lines) {
  if ((process.flags & snapshot::kSwitchedOff) != 0) {
    lines.push_back("note: leakhunt found its memory in the program overwritten and stopped recording; figures are of that moment");
  }
  if ((process.flags & snapshot::kInjected) != 0) {
    lines.push_back("note: attached to while it ran; what it had allocated before is not known, what it had opened is untracked");
  }
  if ((process.flags & snapshot::kOwnMalloc) != 0) {
    lines.push_back("note: the program defines malloc itself; only what its libraries allocate is seen, and may be freed unseen");
  }
}

// How well it is known what mappings and stacks hold.
void AddMappingBytes(const Snapshot& s, std::vector<std::string>& lines) {
  const bool any = std::any_of(s.sites.begin(), s.sites.end(), [](const snapshot::Site& site) {
    return site.kind != snapshot::SiteKind::kHeap && site.live_count.value > 0;
  });
  if (!any) return;
  if (s.mapping_bytes == snapshot::MappingBytes::kReserved) {
    lines.push_back("note: mappings and stacks count with their size: this recording does not say what is in memory");
  } else if (s.mapping_bytes == snapshot::MappingBytes::kEstimated) {
    lines.push_back("note: of some mappings or stacks it could not be read what is in memory; they count with their size, at most RSS");
  }
}

void AddLosses(const snapshot::Losses& l, std::vector<std::string>& lines) {
  if (l.records > 0) {
    lines.push_back(fmt::format("note: {} allocations ({}) could not be recorded; figures may be too small by that",
                                Count(static_cast<double>(l.records)), Bytes(static_cast<double>(l.bytes))));
  }
  if (l.invalid_records > 0) {
    lines.push_back(fmt::format("note: {} records were damaged and left out",
                                Count(static_cast<double>(l.invalid_records))));
  }
  if (l.unknown_stacks > 0) {
    lines.push_back(fmt::format("note: {} records have no stack", Count(static_cast<double>(l.unknown_stacks))));
  }
  for (const snapshot::Gap& gap : l.gaps) {
    lines.push_back(fmt::format("note: no collector watched for {} from {}", Age(gap.to_ms - gap.from_ms),
                                Clock(gap.from_ms)));
  }
}

std::string SnapshotText(const Loaded& loaded) {
  const Snapshot& s = *loaded.snapshot;
  std::string text = fmt::format("snapshot {} of {} ({}", s.number, loaded.chosen.front().snapshots, s.reason);
  if (!s.label.empty()) text += ": " + Printable(s.label);
  const char* since = (s.process.flags & snapshot::kInjected) != 0 ? "it was attached to" : "the start";
  return text + fmt::format("), {} UTC, {} after {}; {}{}", Clock(s.time_ms), Age(s.time_ms - s.process.started_ms), since,
                            EndText(s.process), loaded.chosen.front().before_teardown ? ", after it had freed most of this" : "");
}

}  // namespace

std::string EndText(const snapshot::ProcessInfo& p) {
  switch (p.end) {
    case End::kRunning: return "running";
    case End::kExit:
      if (p.replaced_by_exec) return "replaced itself by exec";
      return p.exit_status ? fmt::format("exited with {}", *p.exit_status) : "exited";
    case End::kSignal: return "killed by " + SignalText(p.signal);
    case End::kOom: return "killed by the kernel for lack of memory";
    case End::kLost: return "gone; how it ended is not known";
  }
  return "";
}

std::string ShellWord(const std::string& word) {
  if (!word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?#~`") == std::string::npos) return word;
  std::string quoted = "'";
  for (char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string CommandText(const snapshot::ProcessInfo& process) {
  std::string text;
  for (const std::string& argument : process.command) text += (text.empty() ? "" : " ") + ShellWord(argument);
  return Printable(text.empty() ? process.executable : text);
}

std::vector<std::string> Preamble(const Loaded& loaded) {
  const Snapshot& s = *loaded.snapshot;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}[{}]  {}", Printable(s.process.name), s.process.pid, CommandText(s.process)));
  lines.push_back(SnapshotText(loaded));
  lines.push_back(SamplingText(s));
  AddWhatIsUnseen(s.process, lines);
  AddMappingBytes(s, lines);
  AddLosses(s.losses, lines);
  if (const auto more = verdict::FindMoreThanMemory(s)) lines.push_back("note: inconsistent: " + more->Text());
  return lines;
}

}  // namespace leakhunt::viewer
