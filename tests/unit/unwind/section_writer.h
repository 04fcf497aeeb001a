// Writes .eh_frame and .eh_frame_hdr bytes for the tests: what an assembler's .cfi directives would make.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "preload/unwind/frame_description.h"

namespace leakhunt::unwind_test {

using Bytes = std::vector<uint8_t>;

class SectionWriter {
 public:
  explicit SectionWriter(uint64_t capacity = 4096) : memory_(capacity) {}

  // A CIE; returns its offset. Pointers of its FDEs are absolute 8-byte words.
  uint64_t Common(int8_t data_alignment, uint8_t return_register, const std::string& augmentation,
                  const Bytes& program) {
    uint64_t start = used_;
    Begin();
    Put<uint32_t>(0);
    Put<uint8_t>(1);
    for (char c : augmentation) Put(c);
    Put<uint8_t>(0);
    Put<uint8_t>(1);                                           // code alignment
    Put<uint8_t>(static_cast<uint8_t>(data_alignment & 0x7F));  // sleb, one byte
    Put<uint8_t>(return_register);
    Put<uint8_t>(1);                                           // augmentation bytes
    Put<uint8_t>(unwind::kEncodingAbsolute);
    End(program);
    return start;
  }

  // An FDE of `common`; returns its offset.
  uint64_t Entry(uint64_t common, uint64_t pc, uint64_t pc_bytes, const Bytes& program) {
    uint64_t start = used_;
    Begin();
    Put<uint32_t>(static_cast<uint32_t>(used_ - common));
    Put(pc);
    Put(pc_bytes);
    Put<uint8_t>(0);
    End(program);
    return start;
  }

  void Terminate() { Put<uint32_t>(0); }

  // A header with a search table of {pc, entry offset}; `sorted` false writes a header without one.
  uint64_t Header(const std::vector<std::pair<uint64_t, uint64_t>>& table, bool sorted) {
    uint64_t start = used_;
    Put<uint8_t>(1);
    Put<uint8_t>(unwind::kEncodingAbsolute);
    Put<uint8_t>(sorted ? unwind::kEncodingU4 : unwind::kEncodingOmit);
    Put<uint8_t>(sorted ? unwind::kEncodingDataRelative | unwind::kEncodingS4 : unwind::kEncodingOmit);
    Put(Address(0));
    if (!sorted) return start;
    Put(static_cast<uint32_t>(table.size()));
    for (auto [pc, entry] : table) {
      Put(static_cast<int32_t>(pc - Address(start)));
      Put(static_cast<int32_t>(entry - start));
    }
    return start;
  }

  uint64_t Address(uint64_t offset) const { return reinterpret_cast<uint64_t>(memory_.data()) + offset; }
  unwind::Extent Section() const { return {Address(0), Address(used_)}; }

 private:
  template <typename T>
  void Put(T value) {
    std::memcpy(memory_.data() + used_, &value, sizeof(value));
    used_ += sizeof(value);
  }
  void Begin() {
    length_at_ = used_;
    Put<uint32_t>(0);
  }
  void End(const Bytes& program) {
    for (uint8_t byte : program) Put(byte);
    while (used_ % 8 != 4) Put<uint8_t>(0);
    uint32_t length = static_cast<uint32_t>(used_ - length_at_ - 4);
    std::memcpy(memory_.data() + length_at_, &length, 4);
  }

  std::vector<uint8_t> memory_;
  uint64_t used_ = 0, length_at_ = 0;
};

}  // namespace leakhunt::unwind_test
