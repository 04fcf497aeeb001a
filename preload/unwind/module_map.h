// The objects met so far: where their unwind sections are, under which handle the rest of leakhunt knows them.
//
// Any thread, signal handlers and forked children; no locks. A module gets its slot by one CAS and is announced to the
// ModuleSeen callback before the slot is ready, so nobody walks through a module that was not announced.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/unwind/frame_description.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {

enum class ModuleLookup : uint8_t {
  kFound,
  kNone,  // in no loaded object
  kBusy,  // another thread (or the code this handler interrupted) is entering the module
};

// What Epoch() returns, inline for the walk. Raised with release by Retire in module_map.cc.
LEAKHUNT_HIDDEN extern uint32_t g_module_epoch;
inline uint32_t CurrentEpoch() { return sys::LoadAcquire(&g_module_epoch); }

// The unwind sections of the module that covers `pc`; enters and announces it when it is new.
ModuleLookup FindModule(uint64_t pc, UnwindSections* sections);

void InitializeModules();

}  // namespace leakhunt::unwind
