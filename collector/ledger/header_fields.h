// What a snapshot takes straight from the process header: who it is, how it was sampled, what was lost, its clock.
#pragma once

#include "collector/ledger/ledger.h"
#include "collector/ledger/process_clock.h"
#include "collector/snapshot/model.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

// `refused` records were inconsistent. The collector corrects pid, end and uid by what it knows of the process itself.
void FillFromHeader(const protocol::ProcessHeader& header, const ProcessClock& clock, const CaptureOptions& options,
                    uint64_t refused, snapshot::Snapshot* out);

}  // namespace leakhunt::ledger
