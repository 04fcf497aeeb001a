// Reads unwind sections of a loaded object: one bounds-checked cursor under every parser of this directory.
//
// The bytes belong to a stranger and may be wrong. A read past the end yields 0 and makes the cursor bad for good; the
// parser looks at `ok()` where it matters. Nothing here reads outside [begin, end) of the mapped segment.
#pragma once

#include <cstdint>

namespace leakhunt::unwind {

// Mapped, readable memory that holds a section: the PT_LOAD segment around it.
struct Extent {
  uint64_t begin = 0, end = 0;
  bool Contains(uint64_t address) const { return address >= begin && address < end; }
};

// DW_EH_PE_*: how .eh_frame and its header write an address.
enum PointerEncoding : uint8_t {
  kEncodingAbsolute = 0x00, kEncodingUleb = 0x01, kEncodingU2 = 0x02, kEncodingU4 = 0x03, kEncodingU8 = 0x04,
  kEncodingSleb = 0x09, kEncodingS2 = 0x0A, kEncodingS4 = 0x0B, kEncodingS8 = 0x0C,
  kEncodingPcRelative = 0x10, kEncodingDataRelative = 0x30, kEncodingIndirect = 0x80, kEncodingOmit = 0xFF,
};

class SectionReader {
 public:
  SectionReader(uint64_t at, uint64_t end) : at_(at), end_(at <= end ? end : at), ok_(at <= end) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return at_ >= end_; }
  uint64_t position() const { return at_; }
  uint64_t end() const { return end_; }
  uint64_t remaining() const { return end_ - at_; }

  template <typename T>
  T Read() {
    T value{};
    if (remaining() < sizeof(T)) return Fail(), value;
    __builtin_memcpy(&value, reinterpret_cast<const void*>(at_), sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  void Skip(uint64_t bytes) {
    if (bytes > remaining()) return Fail();
    at_ += bytes;
  }

  // Forward or backward inside [lowest, end].
  void Jump(int64_t bytes, uint64_t lowest) {
    uint64_t to = at_ + static_cast<uint64_t>(bytes);
    if (to < lowest || to > end_) return Fail();
    at_ = to;
  }

  uint64_t Uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; ok_; shift += 7) {
      uint8_t byte = Read<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (!(byte & 0x80)) break;
    }
    return value;
  }

  int64_t Sleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; ok_;) {
      uint8_t byte = Read<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      shift += 7;
      if (byte & 0x80) continue;
      if ((byte & 0x40) && shift < 64) value |= ~uint64_t{0} << shift;
      break;
    }
    return static_cast<int64_t>(value);
  }

  // An encoded pointer; `data_base` serves data-relative ones. Indirect pointers are not followed (no field that is
  // needed here uses them): the cursor becomes bad.
  uint64_t Pointer(uint8_t encoding, uint64_t data_base) {
    uint64_t place = at_;
    if (encoding == kEncodingOmit || (encoding & kEncodingIndirect)) return Fail(), 0;
    uint64_t value = Operand(encoding);
    switch (encoding & 0x70) {
      case 0x00: return value;
      case kEncodingPcRelative: return value + place;
      case kEncodingDataRelative: return value + data_base;
      default: return Fail(), 0;
    }
  }

  // The number alone, without its base: lengths of ranges are written so.
  uint64_t Operand(uint8_t encoding) {
    switch (encoding & 0x0F) {
      case kEncodingAbsolute:
      case kEncodingU8:
      case kEncodingS8: return Read<uint64_t>();
      case kEncodingUleb: return Uleb();
      case kEncodingSleb: return static_cast<uint64_t>(Sleb());
      case kEncodingU2: return Read<uint16_t>();
      case kEncodingS2: return static_cast<uint64_t>(static_cast<int64_t>(Read<int16_t>()));
      case kEncodingU4: return Read<uint32_t>();
      case kEncodingS4: return static_cast<uint64_t>(static_cast<int64_t>(Read<int32_t>()));
      default: return Fail(), 0;
    }
  }

  void Fail() {
    ok_ = false;
    at_ = end_;
  }

 private:
  uint64_t at_, end_;
  bool ok_;
};

}  // namespace leakhunt::unwind
