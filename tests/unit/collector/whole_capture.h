// A capture with its rows in the snapshot itself, for tests that look at them.
#pragma once

#include "collector/ledger/ledger.h"
#include "collector/snapshot/rows.h"

namespace leakhunt::testing {

class KeptRows final : public snapshot::Rows {
 public:
  explicit KeptRows(snapshot::Snapshot* snapshot) : snapshot_(snapshot) {}
  void Add(const snapshot::Stack& stack) override { snapshot_->stacks.push_back(stack); }
  void Add(const snapshot::Site& site) override { snapshot_->sites.push_back(site); }

 private:
  snapshot::Snapshot* snapshot_;
};

inline Result<Unit> CaptureWhole(ledger::ProcessLedger& ledger, const ledger::CaptureOptions& options,
                                 snapshot::Snapshot* out) {
  out->stacks.clear();
  out->sites.clear();
  KeptRows rows(out);
  return ledger.Capture(options, &rows, out);
}

}  // namespace leakhunt::testing
