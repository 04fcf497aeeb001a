// Call frame programs, expressions and packed rules, on bytes written by hand: x86-64 and aarch64.
#include <gtest/gtest.h>

#include "preload/unwind/cfi_row.h"
#include "preload/unwind/expression.h"
#include "preload/unwind/packed_rule.h"
#include "tests/unit/unwind/section_writer.h"

namespace leakhunt::unwind {
namespace {

using unwind_test::Bytes;
using unwind_test::SectionWriter;

constexpr uint64_t kPc = 0x401000;
const Bytes kX86Start = {0x0C, 7, 8, 0x80 | 16, 1};  // def_cfa rsp+8; rip at cfa-8
const Bytes kArmStart = {0x0C, 31, 0};               // def_cfa sp+0

template <typename Arch>
RowError RowAt(const Bytes& program, uint64_t pc, Row<Arch>* row, const std::string& augmentation = "zR") {
  SectionWriter writer;
  bool x86 = Arch::kReturn == 16;
  uint64_t common = writer.Common(-8, Arch::kReturn, augmentation, x86 ? kX86Start : kArmStart);
  uint64_t entry = writer.Entry(common, kPc, 0x100, program);
  FrameDescription description;
  EXPECT_TRUE(ParseFrameDescription(writer.Address(entry), writer.Section(), 0, &description));
  EXPECT_EQ(description.pc_begin, kPc);
  EXPECT_EQ(description.pc_end, kPc + 0x100);
  return BuildRow(description, pc, row);
}

// push rbp; mov rsp,rbp; push rbx; … pop; ret
const Bytes kPrologue = {0x41, 0x0E, 16, 0x86, 2,        // +1: cfa rsp+16, rbp at -16
                         0x43, 0x0D, 6,                  // +4: cfa rbp+16
                         0x44, 0x83, 3,                  // +8: rbx at -24
                         0x50, 0x0A, 0x0C, 7, 8, 0xC6,   // +24: remember; cfa rsp+8, rbp restored
                         0x41, 0x0B};                    // +25: restored

TEST(Rows, FollowAPrologue) {
  Row<X86_64> row;
  ASSERT_EQ(RowAt(kPrologue, kPc, &row), RowError::kNone);
  EXPECT_EQ(row.cfa.other, 7);
  EXPECT_EQ(row.cfa.offset, 8);
  EXPECT_EQ(row.registers[6].where, Where::kSame);
  EXPECT_EQ(row.registers[16].offset, -8);
  ASSERT_EQ(RowAt(kPrologue, kPc + 1, &row), RowError::kNone);
  EXPECT_EQ(row.cfa.offset, 16);
  EXPECT_EQ(row.registers[6].offset, -16);
  ASSERT_EQ(RowAt(kPrologue, kPc + 9, &row), RowError::kNone);
  EXPECT_EQ(row.cfa.other, 6);
  EXPECT_EQ(row.registers[3].offset, -24);
}

TEST(Rows, RememberAndRestore) {
  Row<X86_64> row;
  ASSERT_EQ(RowAt(kPrologue, kPc + 24, &row), RowError::kNone);
  EXPECT_EQ(row.cfa.other, 7);
  EXPECT_EQ(row.cfa.offset, 8);
  EXPECT_EQ(row.registers[6].where, Where::kSame);
  ASSERT_EQ(RowAt(kPrologue, kPc + 25, &row), RowError::kNone);
  EXPECT_EQ(row.cfa.other, 6);
  EXPECT_EQ(row.registers[6].offset, -16);
}

TEST(Rows, RareInstructions) {
  Row<X86_64> row;
  Bytes program = {0x2E, 16,        // GNU_args_size
                   0x07, 0,         // rax undefined
                   0x09, 3, 12,     // rbx in r12
                   0x14, 13, 2,     // r13 is cfa-16
                   0x15, 14, 0x7E,  // r14 is cfa+16
                   0x11, 15, 3,     // r15 at cfa-24
                   0x2F, 12, 4,     // r12 at cfa+32
                   0x13, 0x7D,      // cfa offset 24, signed and scaled
                   0x05, 40, 9};    // a register that is not kept
  ASSERT_EQ(RowAt(program, kPc, &row), RowError::kNone);
  EXPECT_EQ(row.registers[0].where, Where::kUndefined);
  EXPECT_EQ(row.registers[3].where, Where::kRegister);
  EXPECT_EQ(row.registers[3].other, 12);
  EXPECT_EQ(row.registers[13].where, Where::kCfaPlus);
  EXPECT_EQ(row.registers[13].offset, -16);
  EXPECT_EQ(row.registers[14].offset, 16);
  EXPECT_EQ(row.registers[15].offset, -24);
  EXPECT_EQ(row.registers[12].offset, 32);
  EXPECT_EQ(row.cfa.offset, 24);
}

TEST(Rows, AdvancesOfEveryWidth) {
  Row<X86_64> row;
  Bytes program = {0x02, 10, 0x0E, 16, 0x03, 10, 0, 0x0E, 24, 0x04, 10, 0, 0, 0, 0x0E, 32,
                   0x01, 0x40, 0x10, 0x40, 0, 0, 0, 0, 0, 0x0E, 40};  // set_loc 0x401040
  const int kExpected[][2] = {{9, 8}, {10, 16}, {19, 16}, {20, 24}, {30, 32}, {0x3F, 32}, {0x40, 40}};
  for (auto [at, offset] : kExpected) {
    ASSERT_EQ(RowAt(program, kPc + static_cast<uint64_t>(at), &row), RowError::kNone);
    EXPECT_EQ(row.cfa.offset, offset) << at;
  }
}

TEST(Rows, WhatIsNotSupportedIsSaid) {
  Row<X86_64> row;
  EXPECT_EQ(RowAt(Bytes{0x1F, 1}, kPc, &row), RowError::kUnsupported);
  EXPECT_EQ(RowAt(Bytes{0x0B}, kPc, &row), RowError::kUnsupported);                          // nothing remembered
  EXPECT_EQ(RowAt(Bytes{0x0A, 0x0A, 0x0A, 0x0A, 0x0A}, kPc, &row), RowError::kUnsupported);  // too deep
  EXPECT_EQ(RowAt(Bytes{0x0F, 0x7F, 1}, kPc, &row), RowError::kUnsupported);                 // longer than the program
}

TEST(Rows, SignalFramesAreMarked) {
  Row<X86_64> row;
  ASSERT_EQ(RowAt(Bytes{}, kPc, &row, "zRS"), RowError::kNone);
  EXPECT_TRUE(row.signal_frame);
}

// paciasp; stp x29,x30,[sp,-32]!; mov x29,sp; str x19,[sp,16] … ldp; autiasp; ret
const Bytes kArmPrologue = {0x44, 0x2D,                          // +4: return address signed
                            0x44, 0x0E, 32, 0x9D, 4, 0x9E, 3,    // +8: cfa sp+32, x29 at -32, x30 at -24
                            0x44, 0x0D, 29,                      // +12: cfa x29+32
                            0x44, 0x93, 2,                       // +16: x19 at -16
                            0x50, 0x0C, 31, 0, 0xDD, 0xDE, 0xD3, // +32: all restored
                            0x44, 0x2D};                         // +36: no longer signed

TEST(Rows, Aarch64) {
  Row<Aarch64> row;
  ASSERT_EQ(RowAt(kArmPrologue, kPc, &row), RowError::kNone);
  EXPECT_FALSE(row.return_signed);
  EXPECT_EQ(row.registers[30].where, Where::kSame);  // still in the link register
  ASSERT_EQ(RowAt(kArmPrologue, kPc + 16, &row), RowError::kNone);
  EXPECT_TRUE(row.return_signed);
  EXPECT_EQ(row.return_slot, 30);
  EXPECT_EQ(row.cfa.other, Aarch64::kFramePointer);
  EXPECT_EQ(row.cfa.offset, 32);
  EXPECT_EQ(row.registers[29].offset, -32);
  EXPECT_EQ(row.registers[30].offset, -24);
  EXPECT_EQ(row.registers[19].offset, -16);
  EXPECT_EQ(Aarch64::StripReturn(0xA5B4'7F12'3456'7890, row.return_signed), 0x7F12'3456'7890u);
  ASSERT_EQ(RowAt(kArmPrologue, kPc + 36, &row), RowError::kNone);
  EXPECT_FALSE(row.return_signed);
  EXPECT_EQ(row.registers[30].where, Where::kSame);
  EXPECT_EQ(row.cfa.other, Aarch64::kStackPointer);
}

TEST(Rows, X86IgnoresTheSignedReturnOpcode) {
  Row<X86_64> row;
  ASSERT_EQ(RowAt(Bytes{0x2D}, kPc, &row), RowError::kNone);
  EXPECT_FALSE(row.return_signed);
}

TEST(FrameDescriptions, AreFoundByTableAndByScan) {
  for (bool sorted : {true, false}) {
    SectionWriter writer(64 * 1024);
    uint64_t base = writer.Address(0);  // within reach of the table's 32-bit distances
    uint64_t common = writer.Common(-8, 16, "zR", kX86Start);
    std::vector<std::pair<uint64_t, uint64_t>> table;
    for (uint64_t i = 0; i < 300; ++i) {
      table.emplace_back(base + 100'000 + i * 64,
                         writer.Entry(common, base + 100'000 + i * 64, 48, Bytes{0x41, 0x0E, 16}));
    }
    writer.Terminate();
    UnwindSections sections;
    sections.header = writer.Address(writer.Header(table, sorted));
    sections.segments[0] = sections.header_extent = writer.Section();
    sections.segment_count = 1;
    FrameDescription description;
    for (uint64_t i = 0; i < 300; ++i) {
      uint64_t start = base + 100'000 + i * 64;
      ASSERT_TRUE(FindFrameDescription(sections, start, &description));
      EXPECT_EQ(description.pc_begin, start);
      ASSERT_TRUE(FindFrameDescription(sections, start + 47, &description));
      EXPECT_EQ(description.pc_begin, start);
      EXPECT_FALSE(FindFrameDescription(sections, start + 48, &description));  // between two functions
    }
    EXPECT_FALSE(FindFrameDescription(sections, base + 99'999, &description));
  }
}

Evaluation Evaluate(const Bytes& code, uint64_t* result, const StackLimits& readable = {0, 0}, uint64_t initial = 0) {
  MachineState<X86_64> state;
  state.Set(7, 0x7000);
  state.Set(16, 0x40100B);
  return EvaluateExpression(reinterpret_cast<uint64_t>(code.data()), static_cast<uint32_t>(code.size()), state,
                            readable, true, initial, result);
}

TEST(Expressions, OfAPltStub) {
  // rsp + 8 + ((rip & 15) >= 11) * 8
  Bytes code = {0x77, 8, 0x80, 0, 0x3F, 0x1A, 0x3B, 0x2A, 0x33, 0x24, 0x22};
  uint64_t result = 0;
  ASSERT_EQ(Evaluate(code, &result), Evaluation::kDone);
  EXPECT_EQ(result, 0x7010u);
}

TEST(Expressions, Operations) {
  struct {
    Bytes code;
    uint64_t expected;
  } cases[] = {
      {{0x35, 0x33, 0x1C}, 2},                        // 5 - 3
      {{0x09, 0xFE}, ~uint64_t{1}},                   // const1s -2
      {{0x09, 0xF9, 0x32, 0x1B}, ~uint64_t{0} - 2},   // -7 / 2 = -3
      {{0x37, 0x32, 0x1D}, 1},                        // 7 mod 2
      {{0x31, 0x32, 0x33, 0x17, 0x1C}, ~uint64_t{0}}, // rot: 3 1 2 -> 1 - 2
      {{0x31, 0x32, 0x16, 0x1C}, 1},                  // swap
      {{0x34, 0x12, 0x1E}, 16},                       // dup mul
      {{0x31, 0x32, 0x14, 0x22}, 3},                  // over plus
      {{0x31, 0x32, 0x33, 0x15, 2, 0x22}, 4},         // pick
      {{0x31, 0x28, 1, 0, 0x96, 0x39}, 9},            // bra over a nop
      {{0x2F, 1, 0, 0x96, 0x3A}, 10},                 // skip
      {{0x09, 0xF0, 0x32, 0x26}, ~uint64_t{0} - 3},   // -16 >> 2, arithmetic
      {{0x09, 0xFB, 0x19}, 5},                        // abs
      {{0x30, 0x23, 0x85, 0x01}, 133},                // plus_uconst
      {{0x0A, 0x34, 0x12}, 0x1234},
      {{0x10, 0x81, 0x02}, 257},
      {{0x11, 0x7F}, ~uint64_t{0}},
      {{0x92, 7, 0x10}, 0x7010},                      // bregx
  };
  for (const auto& c : cases) {
    uint64_t result = 0;
    ASSERT_EQ(Evaluate(c.code, &result), Evaluation::kDone) << "case " << &c - cases;
    EXPECT_EQ(result, c.expected) << "case " << &c - cases;
  }
}

TEST(Expressions, RefuseWhatTheyMust) {
  uint64_t result = 0;
  EXPECT_EQ(Evaluate({0x2F, 0xFD, 0xFF}, &result), Evaluation::kRefused);        // an endless loop
  EXPECT_EQ(Evaluate({0x13, 0x13}, &result), Evaluation::kRefused);              // below the bottom
  EXPECT_EQ(Evaluate(Bytes(40, 0x31), &result), Evaluation::kRefused);           // too many values
  EXPECT_EQ(Evaluate({0x31, 0x30, 0x1B}, &result), Evaluation::kRefused);        // division by zero
  EXPECT_EQ(Evaluate({0x0A, 0x34}, &result), Evaluation::kRefused);              // operand cut off
  EXPECT_EQ(Evaluate({0xF0}, &result), Evaluation::kRefused);
  EXPECT_EQ(Evaluate({0x73, 0}, &result), Evaluation::kNeedsRegister);
  uint64_t word = 77;
  uint64_t at = reinterpret_cast<uint64_t>(&word);
  EXPECT_EQ(Evaluate({0x06}, &result, {at, at + 8}, at), Evaluation::kDone);
  EXPECT_EQ(result, 77u);
  EXPECT_EQ(Evaluate({0x06}, &result, {at, at + 7}, at), Evaluation::kRefused);
  EXPECT_EQ(Evaluate({0x06}, &result, {at + 1, at + 8}, at), Evaluation::kRefused);
}

TEST(PackedRules, KeepEveryField) {
  Row<X86_64> row;
  row.cfa = {Where::kCfaPlus, 7, 0, 1048 * 8};
  row.registers[16] = {Where::kAtCfa, 0, 0, -8};
  row.registers[6] = {Where::kAtCfa, 0, 0, -16};
  row.registers[3] = {Where::kAtCfa, 0, 0, -1016};
  row.registers[15] = {Where::kAtCfa, 0, 0, -24};
  uint64_t rule = 0;
  ASSERT_TRUE(PackSimple(row, &rule));
  EXPECT_EQ(rule & kRuleKindMask, kRuleStack);
  EXPECT_EQ(CfaOffset(rule), 1048u * 8);
  const uint64_t kDistances[] = {16, 1016, 8, 8, 8, 24};
  for (uint32_t i = 0; i < kPackedSaved; ++i) EXPECT_EQ(SavedDistance(rule, i), kDistances[i]) << i;
  row.cfa.other = 6;
  row.cfa.offset = (8 << 20) - 8;
  ASSERT_TRUE(PackSimple(row, &rule));
  EXPECT_EQ(rule & kRuleKindMask, kRuleFramePointer);
  EXPECT_EQ(CfaOffset(rule), static_cast<uint64_t>(row.cfa.offset));
}

TEST(PackedRules, RefuseWhatDoesNotFit) {
  Row<X86_64> good;
  good.cfa = {Where::kCfaPlus, 7, 0, 8};
  good.registers[16] = {Where::kAtCfa, 0, 0, -8};
  uint64_t rule = 0;
  ASSERT_TRUE(PackSimple(good, &rule));
  auto refused = [&](auto change) {
    Row<X86_64> row = good;
    change(row);
    return !PackSimple(row, &rule);
  };
  EXPECT_TRUE(refused([](auto& r) { r.cfa.offset = 8 << 20; }));
  EXPECT_TRUE(refused([](auto& r) { r.cfa.offset = 12; }));
  EXPECT_TRUE(refused([](auto& r) { r.cfa.other = 10; }));
  EXPECT_TRUE(refused([](auto& r) { r.cfa.where = Where::kExpression; }));
  EXPECT_TRUE(refused([](auto& r) { r.registers[16].offset = -16; }));
  EXPECT_TRUE(refused([](auto& r) { r.registers[6] = {Where::kAtCfa, 0, 0, -8}; }));
  EXPECT_TRUE(refused([](auto& r) { r.registers[6] = {Where::kAtCfa, 0, 0, -1024}; }));
  EXPECT_TRUE(refused([](auto& r) { r.registers[6] = {Where::kRegister, 1, 0, 0}; }));
  EXPECT_TRUE(refused([](auto& r) { r.signal_frame = true; }));
}

}  // namespace
}  // namespace leakhunt::unwind
