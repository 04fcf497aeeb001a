// The bits of ProcessInfo.flags, for readers: the wire's own definition stays on the recording side. The values are
// part of the snapshot format; a test holds them equal to the wire's.
#pragma once

#include <cstdint>

namespace leakhunt::snapshot {

enum ProcessFlag : uint32_t {
  kForkedChild = 1u << 0,  // began as a fork, without exec
  kInjected = 1u << 1,     // attached to later: what is older is not known
  kOwnMalloc = 1u << 2,    // the executable defines malloc itself
  kSwitchedOff = 1u << 3,  // the guest stopped recording for good
  kSeccomp = 1u << 4,      // a seccomp filter was installed: the pages could not grow after that
  kNoModules = 1u << 5,    // the module list could not be read
  kDetached = 1u << 6,     // the injected library was taken off again
};

}  // namespace leakhunt::snapshot
