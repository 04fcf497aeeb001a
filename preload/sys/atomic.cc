#include "preload/sys/atomic.h"

namespace leakhunt::sys {

namespace {
constexpr char kUnknown = 0;
}

constinit const char* g_single_threaded = &kUnknown;

}  // namespace leakhunt::sys
