// The guest below its hooks, started in this process, and the collector's ledger over its pages.
//
// A test tells the guest of blocks and descriptors as the hooks would; the addresses and numbers may be made up. One
// guest per process: each test of this program runs in a process of its own (gtest_discover_tests).
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <numeric>
#include <vector>

#include "collector/ledger/ledger.h"
#include "preload/core/process.h"
#include "preload/core/tracker.h"
#include "preload/unwind/unwinder.h"
#include "tests/unit/collector/whole_capture.h"

namespace leakhunt::testing {

class RecordedGuest {
 public:
  // `settings`: as environment variables. By default every block is recorded.
  explicit RecordedGuest(std::vector<const char*> settings = {"LEAKHUNT_SAMPLE_BYTES=1"}) {
    settings.push_back(nullptr);
    started_ = core::AttachProcess(settings.data());
  }
  bool Started() const { return started_; }

  // What a collector reads now: of the process that calls it, alive.
  snapshot::Snapshot Capture() {
    snapshot::Snapshot out;
    auto ledger = ledger::ProcessLedger::Open(UniqueFd(dup(core::g_process.pages->Descriptor())));
    EXPECT_TRUE(ledger) << (ledger ? "" : ledger.error().message);
    if (!ledger) return out;
    ledger::CaptureOptions options;
    options.now_ms = static_cast<int64_t>(core::Header()->started_realtime_ns / 1'000'000) + 1000;
    EXPECT_TRUE(CaptureWhole(**ledger, options, &out));
    return out;
  }

 private:
  bool started_ = false;
};

// As hooks do it: the caller of the hook is this function.
[[gnu::noinline]] inline void Born(uint64_t address, uint64_t bytes) {
  unwind::Registers here;
  unwind::CaptureHere(&here);
  core::BlockBornSlow(address, bytes, &here);
}

inline void Freed(uint64_t address) { core::BlockFreedSlow(address); }

struct Live {
  double blocks, bytes;
  bool operator==(const Live&) const = default;
};
inline Live LiveHeap(const snapshot::Snapshot& snapshot) {
  Live live{0, 0};
  for (const snapshot::Site& site : snapshot.sites) {
    if (site.kind != snapshot::SiteKind::kHeap) continue;
    live.blocks += site.live_count.value;
    live.bytes += site.live_bytes.value;
  }
  return live;
}
inline void PrintTo(const Live& live, std::ostream* out) {
  *out << live.blocks << " blocks of " << live.bytes << " bytes";
}

}  // namespace leakhunt::testing
