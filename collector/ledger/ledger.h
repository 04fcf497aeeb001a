// The ledger of one recorded process image: from its shared pages to a snapshot.
//
// Owns the memfd the guest handed over and what has to be remembered between captures (handles that looked gone once,
// first sightings). Runs on the collector's event loop; one thread at a time. The pages are written by a stranger:
// everything is copied by pread, bounds are checked on the copy, and no content of the pages may crash, loop or
// grow the collector beyond a small multiple of what the process itself spent on them. Nothing here touches the
// process: no ptrace, no /proc; what the kernel says about handles is passed in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"
#include "collector/ledger/living_threads.h"
#include "collector/ledger/mapping_memory.h"
#include "collector/ledger/residency.h"
#include "collector/snapshot/rows.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

// One entry of /proc/PID/fd as the daemon read it.
struct KernelHandle {
  int fd = -1;
  snapshot::HandleType type = snapshot::HandleType::kOther;
  std::string label;   // path, address pair or what else names it to people; may be empty
  uint64_t inode = 0;  // st_ino; 0 unknown
  std::string link;    // target of the link: "socket:[123]", "/var/log/x"
};

struct CaptureOptions {
  // What the kernel holds open, read just before the capture. Null: not known (process dead or not readable).
  const std::vector<KernelHandle>* kernel_handles = nullptr;
  // What mappings and stacks hold, read just before the capture. Null: not known, what was read last stands.
  const Residency* residency = nullptr;
  // The process's threads, listed just before the capture, or when it was last seen alive. Null: not known.
  const ThreadList* threads = nullptr;
  double most_unread_bytes = 1e18;  // what mappings that were never read can hold together (RSS); see MappingMemory
  bool process_alive = true;
  int64_t now_ms = 0;              // Unix milliseconds
  size_t most_handles = size_t{1} << 20;  // that the process may have had open at a time
  double process_cpu_seconds = 0;  // user + system so far, for the measured overhead; 0 = unknown
};

class ProcessLedger {
 public:
  // Takes the descriptor a guest sent. Refuses what is no memfd, is not sealed against shrinking, is too short, or
  // carries another magic or version.
  static Result<std::unique_ptr<ProcessLedger>> Open(UniqueFd memfd);

  ProcessLedger(const ProcessLedger&) = delete;
  ProcessLedger& operator=(const ProcessLedger&) = delete;
  ~ProcessLedger();

  // A copy of the process header with its counts clamped and its texts terminated. Two pages: cheap on every tick.
  Result<protocol::ProcessHeader> ReadHeader();

  // Hands stacks and sites to `rows` and fills process, sampling, losses, modules, frames, threads, scopes, handles and
  // activity of `out`; leaves number, time, reason, label, vitals, limits and handle_totals.limit alone. Of a live
  // process the figures carry what moved meanwhile. Handle reconciliation counts captures, so `kernel_handles` should
  // be given whenever it can be. On error what `rows` was given is of no use.
  //
  // A process of very many stacks is read part by part (stack_parts.h), each at its own moment: every site is true
  // to its moment, and the sites of a live process are some tens of milliseconds apart.
  Result<Unit> Capture(const CaptureOptions& options, snapshot::Rows* rows, snapshot::Snapshot* out);

  // Mappings of the program at the last capture.
  std::vector<AddressRange> Mappings() const;

  struct State;  // ledger.cc

 private:
  explicit ProcessLedger(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace leakhunt::ledger
