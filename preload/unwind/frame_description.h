// Finds the frame description entry (FDE) that covers a pc, in the .eh_frame of one loaded object.
//
// Reads the object's read-only sections where the loader mapped them, nothing else; nothing is prepared ahead. About
// log2(functions) steps in the binary search table of .eh_frame_hdr.
#pragma once

#include <cstdint>

#include "preload/unwind/section_reader.h"

namespace leakhunt::unwind {

// Where an object keeps its unwind sections.
struct UnwindSections {
  uint64_t header = 0;  // .eh_frame_hdr; 0 = the object has none
  Extent header_extent;  // the mapped segment around the header
  Extent frames;          // .eh_frame itself, of an object without the header
  uint64_t entry = 0;     // where the program starts (e_entry): the outermost frame of the main thread; 0 = not known
  // Mapped segments of the object: .eh_frame may lie in another than its header.
  Extent segments[4];
  uint32_t segment_count = 0;

  // The segment that `address` lies in; empty when in none.
  Extent SegmentOf(uint64_t address) const {
    for (uint32_t i = 0; i < segment_count; ++i) {
      if (segments[i].Contains(address)) return segments[i];
    }
    return {};
  }
};

// A decoded FDE with its CIE. Programs are [begin, end) of call frame instructions.
struct FrameDescription {
  uint64_t pc_begin = 0, pc_end = 0;
  Extent initial_program, program;
  Extent section;  // bounds of everything above, and base of expression offsets
  uint64_t code_alignment = 1;
  int64_t data_alignment = 1;
  uint64_t return_register = 0;
  uint64_t header = 0;  // base of data-relative pointers
  uint8_t pointer_encoding = kEncodingAbsolute;
  bool signal_frame = false;
};

// Decodes the FDE at `address` and the CIE it names. False: not an FDE, or malformed.
[[nodiscard]] bool ParseFrameDescription(uint64_t address, const Extent& section, uint64_t header,
                                         FrameDescription* result);

// The FDE that covers `pc`. False: none does.
[[nodiscard]] bool FindFrameDescription(const UnwindSections& sections, uint64_t pc, FrameDescription* result);

}  // namespace leakhunt::unwind
