// What the two functions answer that a collector calls in a program it attaches to: leakhunt_v1_attach, _detach.
#pragma once

#include <cstdint>

namespace leakhunt::protocol {

enum class AttachResult : int32_t {
  kRecording = 1,          // imports lead to the hooks
  kDetached = 2,           // they lead to where they led before
  kPreloaded = 3,          // the library was there from the start, and is not to be attached or detached
  kRefused = 4,            // no memory for recording, or switched off
  kNothingToRedirect = 5,  // no object imports a function that is hooked
  kUnloading = 6,          // an object is being unloaded, for too long to wait for: nothing was changed
};

}  // namespace leakhunt::protocol
