// Which recorded handles are really open, and what is open without a record: the slots against the kernel's list.
//
// The kernel's list and the slots are read at different moments, and the guest's hooks leave windows of their own
// (gone from the slots before close, in the slots only after open). So a difference counts when the same identity
// shows it in two captures running; until then a recorded handle stays open, and a descriptor the guest has seen
// closed is left out. Lists the guest made when its image ended are of one moment and final: they count at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/ledger/handle_slots.h"
#include "collector/ledger/key_index.h"
#include "collector/ledger/ledger.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

enum class Evidence : uint8_t {
  kNone,      // slots alone, the process may go on
  kFinal,     // slots alone, the process is gone
  kKernel,    // /proc/PID/fd of a live process
  kExitList,  // the guest's list from the end of its image
};

struct Reconciled {
  std::vector<RecordedHandle> open;  // with types and labels refined
  std::vector<snapshot::UntrackedHandle> untracked;
  std::vector<uint32_t> closed_unseen;  // stacks of slots still live whose handle is gone, one entry a handle
  uint64_t vanished = 0;                // since the ledger was opened
};

class HandleReconciler {
 public:
  // `kernel`: the list that goes with `evidence`; empty when there is none.
  Reconciled Reconcile(HandleSighting seen, const std::vector<KernelHandle>& kernel, Evidence evidence, bool injected);

 private:
  struct Refinement {
    snapshot::HandleType type;
    std::string label;
    uint64_t inode;  // under the number when the kernel was first asked; 0 unknown
  };
  struct Pass;  // one reconciliation

  void Judge(RecordedHandle handle, bool newest, Pass* pass);
  void Refine(const KernelHandle* entry, Evidence evidence, RecordedHandle* handle) const;
  bool IsAnother(const RecordedHandle& handle, const KernelHandle& entry) const;
  void Remember(const RecordedHandle& handle, const KernelHandle* entry, Pass* pass);
  void FindUntracked(const std::vector<KernelHandle>& kernel, Pass* pass);
  void AddUntracked(const KernelHandle& entry, Pass* pass);
  void CarryOver(Pass* pass);

  NumberSet missing_;       // ids not in the kernel's list at the last capture
  NumberSet vanished_;      // ids given up, whose slots are still live
  NumberSet contradicted_;  // ids whose kernel entry could not be theirs at the last capture
  NumberSet replaced_;      // ids given up for that
  NumberSet unexplained_;   // (fd, inode) open in the kernel without a record at the last capture
  KeyIndex refined_;
  std::vector<Refinement> refinements_;
  std::vector<snapshot::UntrackedHandle> last_untracked_;
  bool had_kernel_ = false;
  uint64_t vanished_count_ = 0;
};

}  // namespace leakhunt::ledger
