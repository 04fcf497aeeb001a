// What a recording itself says about what is missing in it.
#pragma once

#include "collector/snapshot/model.h"
#include "viewer/doctor/symptom.h"

namespace leakhunt::viewer {

void CheckRecording(const snapshot::Snapshot& snapshot, Symptoms& symptoms);

}  // namespace leakhunt::viewer
