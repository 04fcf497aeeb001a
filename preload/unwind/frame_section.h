// Where an object without PT_GNU_EH_FRAME keeps .eh_frame: read from the section headers of its file.
//
// Such objects come from linkers that are not asked for an .eh_frame_hdr (musl-gcc's wrapper, for one). Once a module;
// about twenty small reads, no allocation, no lock.
#pragma once

#include <cstdint>

#include "preload/unwind/section_reader.h"

namespace leakhunt::unwind {

// The mapped .eh_frame of the object in file `path`, loaded at `bias`. Empty when it has none or cannot be read; the
// caller checks that it lies in a mapped segment.
Extent FindFrameSection(const char* path, uint64_t bias);

}  // namespace leakhunt::unwind
