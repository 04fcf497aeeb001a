// Snapshots built in code, for the tests of the format and of the report.
#pragma once

#include "collector/snapshot/model.h"

namespace leakhunt::testing {

// A snapshot in which every field of the model has a value that is not its default, and every index is valid.
// Deterministic. `number` n: taken n minutes after the start; site 1 has grown by 1,000,000 bytes a minute.
snapshot::Snapshot SampleSnapshot(uint32_t number = 1);

// Unix time in milliseconds at which the sample process started.
inline constexpr int64_t kSampleStartMs = 1'700'000'000'000;

}  // namespace leakhunt::testing
