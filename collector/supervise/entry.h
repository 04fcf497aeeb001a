// leakhunt-collect as the entry point of a container (--or-bare -- COMMAND): what the environment asks for, settled before a
// collector is made.
//
// No variable keeps the command from running: a bad value is one line, and what can be done instead is done.
#pragma once

#include <string>

#include "collector/base/result.h"
#include "collector/options.h"

namespace leakhunt::supervise {

enum class EntryWay {
  kCollect,  // with the collector here
  kPreload,  // LEAKHUNT_COLLECTOR=connect: the collector is elsewhere, LD_PRELOAD is set now
  kBare,     // LEAKHUNT_COLLECTOR=off
};

// Chooses the way, and in `options` a directory that can be written and the socket. An error says why only the bare command is
// left.
Result<EntryWay> SettleEntry(Options* options);

}  // namespace leakhunt::supervise
