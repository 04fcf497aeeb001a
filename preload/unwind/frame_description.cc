// Parsers of .eh_frame_hdr, CIE and FDE (LSB Core, "Exception Frames"). Bytes are a stranger's: see section_reader.h.
#include "preload/unwind/frame_description.h"

namespace leakhunt::unwind {
namespace {

constexpr uint8_t kSearchTableEncoding = kEncodingDataRelative | kEncodingS4;
constexpr uint32_t kMaxScannedEntries = 1u << 20;
constexpr uint32_t kExtendedLength = 0xFFFF'FFFF;

// The body of an entry: its length field read, the cursor bounded to the entry. False at the section's end.
bool EntryBody(uint64_t address, const Extent& section, SectionReader* body) {
  if (!section.Contains(address)) return false;
  SectionReader reader(address, section.end);
  uint32_t length = reader.Read<uint32_t>();
  if (!reader.ok() || length == 0 || length == kExtendedLength || length > reader.remaining()) return false;
  *body = SectionReader(reader.position(), reader.position() + length);
  return true;
}

// Reads the augmentation data the string announces. What is unknown ends it: 'z' gave its length.
void ReadAugmentation(SectionReader& reader, uint64_t name, uint64_t name_end, FrameDescription* result) {
  for (uint64_t at = name + 1; at < name_end; ++at) {
    switch (*reinterpret_cast<const char*>(at)) {
      case 'L': reader.Read<uint8_t>(); break;
      case 'R': result->pointer_encoding = reader.Read<uint8_t>(); break;
      case 'P': {
        uint8_t encoding = reader.Read<uint8_t>();
        if (encoding != kEncodingOmit) reader.Operand(encoding);
        break;
      }
      case 'S': result->signal_frame = true; break;
      case 'B': break;  // aarch64: return addresses signed with the B key
      default: return;
    }
  }
}

bool ParseCommon(uint64_t address, const Extent& section, FrameDescription* result, bool* has_augmentation) {
  SectionReader reader(0, 0);
  if (!EntryBody(address, section, &reader)) return false;
  if (reader.Read<uint32_t>() != 0) return false;  // an FDE
  uint8_t version = reader.Read<uint8_t>();
  if (version != 1 && version != 3 && version != 4) return false;
  uint64_t name = reader.position();
  while (reader.ok() && reader.Read<char>() != 0) {}
  uint64_t name_end = reader.position() - 1;
  if (!reader.ok()) return false;
  if (version == 4) reader.Skip(2);  // address and segment size
  result->code_alignment = reader.Uleb();
  result->data_alignment = reader.Sleb();
  result->return_register = version == 1 ? reader.Read<uint8_t>() : reader.Uleb();
  *has_augmentation = name_end > name && *reinterpret_cast<const char*>(name) == 'z';
  if (name_end > name && !*has_augmentation) return false;  // pre-standard augmentations: data of unknown length
  if (*has_augmentation) {
    uint64_t bytes = reader.Uleb();
    SectionReader data = reader;
    reader.Skip(bytes);
    ReadAugmentation(data, name, name_end, result);
    if (!data.ok()) return false;
  }
  result->initial_program = {reader.position(), reader.end()};
  return reader.ok();
}

// FDE from the table sorted by start address; 0 = pc lies before the first.
uint64_t SearchTable(const SectionReader& table, uint64_t count, uint64_t header, uint64_t pc) {
  struct Entry {
    int32_t start, description;
  };
  const auto* entries = reinterpret_cast<const Entry*>(table.position());
  uint64_t low = 0, high = table.remaining() / sizeof(Entry) < count ? table.remaining() / sizeof(Entry) : count;
  auto start = [&](uint64_t i) { return header + static_cast<uint64_t>(int64_t{entries[i].start}); };
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (start(middle) <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? 0 : header + static_cast<uint64_t>(int64_t{entries[low - 1].description});
}

// Without a search table every entry is looked at.
bool ScanEntries(uint64_t first, const Extent& section, uint64_t header, uint64_t pc, FrameDescription* result) {
  SectionReader body(0, 0);
  uint64_t at = first;
  for (uint32_t i = 0; i < kMaxScannedEntries && EntryBody(at, section, &body); ++i, at = body.end()) {
    if (ParseFrameDescription(at, section, header, result) && pc >= result->pc_begin && pc < result->pc_end)
      return true;
  }
  return false;
}

}  // namespace

bool ParseFrameDescription(uint64_t address, const Extent& section, uint64_t header, FrameDescription* result) {
  SectionReader reader(0, 0);
  if (!EntryBody(address, section, &reader)) return false;
  *result = FrameDescription{};
  uint64_t place = reader.position();
  uint32_t distance = reader.Read<uint32_t>();
  bool has_augmentation = false;
  if (distance == 0 || !ParseCommon(place - distance, section, result, &has_augmentation)) return false;
  result->section = section;
  result->header = header;
  result->pc_begin = reader.Pointer(result->pointer_encoding, header);
  result->pc_end = result->pc_begin + reader.Operand(result->pointer_encoding);
  if (has_augmentation) reader.Skip(reader.Uleb());
  result->program = {reader.position(), reader.end()};
  return reader.ok();
}

bool FindFrameDescription(const UnwindSections& sections, uint64_t pc, FrameDescription* result) {
  if (sections.header == 0) return ScanEntries(sections.frames.begin, sections.frames, 0, pc, result);
  if (!sections.header_extent.Contains(sections.header)) return false;
  SectionReader reader(sections.header, sections.header_extent.end);
  if (reader.Read<uint8_t>() != 1) return false;
  uint8_t frame_encoding = reader.Read<uint8_t>();
  uint8_t count_encoding = reader.Read<uint8_t>();
  uint8_t table_encoding = reader.Read<uint8_t>();
  uint64_t frames = reader.Pointer(frame_encoding, sections.header);
  if (!reader.ok()) return false;
  Extent section = sections.SegmentOf(frames);
  if (count_encoding == kEncodingOmit || table_encoding != kSearchTableEncoding) {
    return ScanEntries(frames, section, sections.header, pc, result);
  }
  uint64_t count = reader.Operand(count_encoding);
  if (!reader.ok()) return false;
  uint64_t description = SearchTable(reader, count, sections.header, pc);
  return description != 0 && ParseFrameDescription(description, section, sections.header, result) &&
         pc >= result->pc_begin && pc < result->pc_end;
}

}  // namespace leakhunt::unwind
