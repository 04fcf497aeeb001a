// A loaded snapshot as the exporters' neutral profile: memory, or handles in a profile of their own.
#pragma once

#include "collector/base/result.h"
#include "viewer/export/profile.h"
#include "viewer/loaded_report.h"

namespace leakhunt::viewer {

// Sites of memory with alloc_objects, alloc_space, inuse_objects, inuse_space (the default); labelled with kind and
// scope. --filter is applied. Errors: a bad --filter (exit code 2).
Result<Profile> MemoryProfile(Loaded& loaded, const Options& options);

// Sites of handles with opened_handles and open_handles (the default); labelled with the type.
Result<Profile> HandleProfile(Loaded& loaded, const Options& options);

// The one that --handles chose.
Result<Profile> ChosenProfile(Loaded& loaded, const Options& options);

}  // namespace leakhunt::viewer
