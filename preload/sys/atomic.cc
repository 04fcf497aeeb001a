#include "preload/sys/atomic.h"

#include "preload/sys/hot.h"

namespace leakhunt::sys {

namespace {
constexpr char kUnknown = 0;
}

LEAKHUNT_HOT_WORD const char* g_single_threaded = &kUnknown;

}  // namespace leakhunt::sys
