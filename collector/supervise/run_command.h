// `leakhunt-collect -- COMMAND`: runs a command under leakhunt and is a correct init for it.
//
// Whatever goes wrong with recording, the command runs; its descriptors, signals, terminal and exit status are as
// without us. Nothing is written on stdout.
#pragma once

#include <sys/resource.h>

#include "collector/base/result.h"
#include "collector/options.h"
#include "collector/record/image_recorder.h"

namespace leakhunt::supervise {

// The exit status to leave with: the command's own, 128+N, or an error with 125, 126, 127.
Result<int> RunCommand(const Options& options, const rlimit& descriptor_limit, record::OnWritten on_written);

}  // namespace leakhunt::supervise
