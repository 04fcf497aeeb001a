// Any bytes as shared pages: what the fuzzer and the replay of its corpus run.
//
// An input is a flag byte and a list of patches (page, offset, length: 16 bits each, then the bytes) to two empty
// extents, so that a small input describes a large, mostly empty file. Bit 0 of the flags: the process is alive.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "collector/ledger/ledger.h"
#include "tests/unit/collector/page_builder.h"
#include "tests/unit/collector/whole_capture.h"

namespace leakhunt::testing {

inline constexpr size_t kFuzzedBytes = 2 * protocol::kExtentBytes;

inline std::vector<uint8_t> ExpandPatches(const uint8_t* data, size_t size) {
  std::vector<uint8_t> pages(kFuzzedBytes);
  for (size_t at = 0; at + 6 <= size;) {
    uint16_t head[3];
    std::memcpy(head, data + at, sizeof(head));
    at += sizeof(head);
    const size_t target = head[0] % (kFuzzedBytes / protocol::kPageBytes) * protocol::kPageBytes + head[1] % 4096;
    const size_t length = std::min({size_t{head[2]}, size - at, kFuzzedBytes - target});
    std::memcpy(pages.data() + target, data + at, length);
    at += length;
  }
  return pages;
}

// The inverse, for seeds: one patch for each stretch that is not zero.
inline std::vector<uint8_t> PatchesOf(const std::vector<uint8_t>& pages, uint8_t flags) {
  std::vector<uint8_t> input{flags};
  constexpr size_t kGap = 8;
  for (size_t at = 0; at < pages.size();) {
    if (pages[at] == 0) {
      ++at;
      continue;
    }
    size_t end = at + 1;
    for (size_t zeros = 0, i = end; i < pages.size() && zeros < kGap && i - at < 4000; ++i) {
      zeros = pages[i] == 0 ? zeros + 1 : 0;
      if (pages[i] != 0) end = i + 1;
    }
    const uint16_t head[3] = {static_cast<uint16_t>(at / 4096), static_cast<uint16_t>(at % 4096),
                              static_cast<uint16_t>(end - at)};
    const auto* bytes = reinterpret_cast<const uint8_t*>(head);
    input.insert(input.end(), bytes, bytes + sizeof(head));
    input.insert(input.end(), pages.begin() + static_cast<long>(at), pages.begin() + static_cast<long>(end));
    at = end;
  }
  return input;
}

inline std::string DefectOfWeighted(const snapshot::Weighted& sum) {
  for (const double value : {sum.value, sum.variance, sum.largest_weight, sum.moved_down, sum.moved_up}) {
    if (!std::isfinite(value) || value < 0) return "a sum is no number";
  }
  return "";
}

inline std::string DefectOfSite(const snapshot::Snapshot& out, const snapshot::Site& site) {
  if (site.stack >= out.stacks.size() || site.scope >= out.scopes.size()) return "a site points nowhere";
  if (site.cohorts.size() > 64 || site.threads.size() > 8) return "a site has too much";
  for (const snapshot::ThreadShare& share : site.threads) {
    if (share.thread >= out.threads.size()) return "a share points nowhere";
  }
  for (size_t i = 1; i < site.cohorts.size(); ++i) {
    if (site.cohorts[i].from_ms < site.cohorts[i - 1].to_ms) return "cohorts overlap";
  }
  for (const auto* sum : {&site.live_bytes, &site.live_count, &site.total_bytes, &site.total_count}) {
    if (std::string defect = DefectOfWeighted(*sum); !defect.empty()) return defect;
  }
  return "";
}

inline std::string DefectOfHandles(const snapshot::Snapshot& out) {
  uint64_t open = 0, typed = 0;
  for (const snapshot::HandleSite& site : out.handle_sites) {
    if (site.stack >= out.stacks.size()) return "a handle site points nowhere";
    if (site.births_ms.size() > 512 || site.examples.size() > 16) return "a handle site has too much";
    if (!std::is_sorted(site.births_ms.begin(), site.births_ms.end())) return "births are out of order";
    for (const snapshot::HandleExample& example : site.examples) {
      if (example.thread >= out.threads.size()) return "an example points nowhere";
    }
    open += site.open;
  }
  for (const uint64_t count : out.handles_by_type) typed += count;
  if (open != out.handle_totals.open) return "open handles do not add up";
  if (typed != open + out.untracked.size()) return "types do not add up";
  return "";
}

// What is wrong with a snapshot whatever it was made of; empty when nothing is.
inline std::string DefectOf(const snapshot::Snapshot& out) {
  for (const snapshot::Stack& stack : out.stacks) {
    for (const uint32_t frame : stack.frames) {
      if (frame >= out.frames.size()) return "a stack points nowhere";
    }
  }
  for (const snapshot::Frame& frame : out.frames) {
    if (frame.module != snapshot::kNoModule && frame.module >= out.modules.size()) return "a frame points nowhere";
  }
  for (const snapshot::Site& site : out.sites) {
    if (std::string defect = DefectOfSite(out, site); !defect.empty()) return defect;
  }
  return DefectOfHandles(out);
}

inline std::string ExercisePages(const uint8_t* data, size_t size) {
  if (size < 1) return "";
  const bool alive = (data[0] & 1) != 0;
  auto ledger = ledger::ProcessLedger::Open(PageBuilder::SealBytes(ExpandPatches(data + 1, size - 1)));
  if (!ledger) return ledger.error().message.empty() ? "refused without a reason" : "";
  const std::vector<ledger::KernelHandle> kernel{{0, snapshot::HandleType::kPty, "/dev/pts/0", 3, "/dev/pts/0"},
                                                 {5, snapshot::HandleType::kTcp, "tcp 1.2.3.4:5", 9, "socket:[9]"}};
  for (int round = 0; round < 3; ++round) {
    ledger::CaptureOptions options;
    options.kernel_handles = alive && round < 2 ? &kernel : nullptr;
    options.process_alive = alive && round < 2;
    options.now_ms = kStartedMs + 60'000 * (round + 1);
    snapshot::Snapshot out;
    if (!CaptureWhole(**ledger, options, &out)) return "";
    if (std::string defect = DefectOf(out); !defect.empty()) return defect;
  }
  return "";
}

}  // namespace leakhunt::testing
