// `leakhunt-collect --pid PID`: records a running process until it ends, --duration, or a signal.
#pragma once

#include "collector/base/result.h"
#include "collector/options.h"
#include "collector/record/image_recorder.h"

namespace leakhunt::attach {

Result<int> RecordProcess(const Options& options, record::OnWritten on_written);

}  // namespace leakhunt::attach
