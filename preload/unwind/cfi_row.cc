// The interpreter of call frame instructions behind cfi_row.h.
#include "preload/unwind/cfi_row.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kRemembered = 4;  // compilers nest remember_state once
constexpr uint32_t kMaxInstructions = 1u << 16;

enum Instruction : uint8_t {
  kNop, kSetLoc, kAdvance1, kAdvance2, kAdvance4, kOffsetExtended, kRestoreExtended, kUndefinedValue, kSameValue,
  kInRegister, kRememberState, kRestoreState, kDefCfa, kDefCfaRegister, kDefCfaOffset, kDefCfaExpression,
  kAtExpressionOf, kOffsetExtendedSf, kDefCfaSf, kDefCfaOffsetSf, kValOffset, kValOffsetSf, kValExpression,
  kNegateReturnState = 0x2D, kArgsSize = 0x2E, kNegativeOffsetExtended = 0x2F,
  kAdvance = 0x40, kOffset = 0x80, kRestore = 0xC0,
};

template <typename Arch>
class Interpreter {
 public:
  Interpreter(const FrameDescription& description, Row<Arch>* row) : description_(description), row_(*row) {}

  RowError Run(uint64_t pc) {
    row_ = Row<Arch>{};
    row_.expressions = description_.section.begin;
    row_.signal_frame = description_.signal_frame;
    row_.cfa.where = Where::kUndefined;
    int return_slot = Arch::Slot(description_.return_register);
    if (return_slot < 0) return RowError::kUnsupported;
    row_.return_slot = static_cast<uint8_t>(return_slot);
    initial_ = row_;
    if (!Execute(description_.initial_program, ~uint64_t{0})) return RowError::kUnsupported;
    initial_ = row_;
    location_ = description_.pc_begin;
    return Execute(description_.program, pc) ? RowError::kNone : RowError::kUnsupported;
  }

 private:
  bool Execute(const Extent& program, uint64_t pc) {
    SectionReader reader(program.begin, program.end);
    for (uint32_t i = 0; i < kMaxInstructions && !reader.AtEnd(); ++i) {
      Step(reader, reader.Read<uint8_t>());
      if (!reader.ok() || !supported_) return false;
      if (location_ > pc) return true;  // the row before this advance is the one
    }
    return reader.AtEnd();
  }

  void Step(SectionReader& reader, uint8_t op) {
    uint8_t low = op & 0x3F;
    switch (op & 0xC0) {
      case kAdvance: return Advance(low);
      case kOffset: return SaveAtCfa(low, Scaled(static_cast<int64_t>(reader.Uleb())));
      case kRestore: return Restore(low);
      default: break;
    }
    if (op <= kAdvance4) return Move(reader, op);
    if (op >= kDefCfa && op <= kDefCfaExpression) return Cfa(reader, op);
    if (op == kDefCfaSf || op == kDefCfaOffsetSf) return Cfa(reader, op);
    switch (op) {
      case kRememberState: return Remember();
      case kRestoreState: return Recall();
      case kArgsSize: reader.Uleb(); return;
      case kNegateReturnState:
        row_.return_signed = Arch::kSignsReturn && !row_.return_signed;
        return;
      default: return Register(reader, op);
    }
  }

  void Move(SectionReader& reader, uint8_t op) {
    switch (op) {
      case kNop: return;
      case kSetLoc: location_ = reader.Pointer(description_.pointer_encoding, description_.header); return;
      case kAdvance1: return Advance(reader.Read<uint8_t>());
      case kAdvance2: return Advance(reader.Read<uint16_t>());
      default: return Advance(reader.Read<uint32_t>());
    }
  }

  void Cfa(SectionReader& reader, uint8_t op) {
    RegisterRule& cfa = row_.cfa;
    if (op == kDefCfaExpression) {
      cfa = Expression(reader, Where::kExpression);
      return;
    }
    if (op == kDefCfa || op == kDefCfaSf || op == kDefCfaRegister) {
      int slot = Arch::Slot(reader.Uleb());
      if (slot < 0) return Refuse();
      if (op == kDefCfaRegister && cfa.where != Where::kCfaPlus) return Refuse();
      cfa.where = Where::kCfaPlus;
      cfa.other = static_cast<uint8_t>(slot);
    } else if (cfa.where != Where::kCfaPlus) {
      return Refuse();
    }
    switch (op) {
      case kDefCfa: case kDefCfaOffset: cfa.offset = Narrow(static_cast<int64_t>(reader.Uleb())); return;
      case kDefCfaSf: case kDefCfaOffsetSf: cfa.offset = Narrow(Scaled(reader.Sleb())); return;
      default: return;
    }
  }

  void Register(SectionReader& reader, uint8_t op) {
    uint64_t number = reader.Uleb();
    switch (op) {
      case kOffsetExtended: return SaveAtCfa(number, Scaled(static_cast<int64_t>(reader.Uleb())));
      case kOffsetExtendedSf: return SaveAtCfa(number, Scaled(reader.Sleb()));
      case kNegativeOffsetExtended: return SaveAtCfa(number, Scaled(static_cast<int64_t>(0 - reader.Uleb())));
      case kRestoreExtended: return Restore(number);
      case kUndefinedValue: return Set(number, {Where::kUndefined, 0, 0, 0});
      case kSameValue: return Set(number, {Where::kSame, 0, 0, 0});
      case kInRegister: {
        int slot = Arch::Slot(reader.Uleb());
        if (slot < 0) return Set(number, {Where::kUndefined, 0, 0, 0});
        return Set(number, {Where::kRegister, static_cast<uint8_t>(slot), 0, 0});
      }
      case kValOffset: return ValueAt(number, Scaled(static_cast<int64_t>(reader.Uleb())));
      case kValOffsetSf: return ValueAt(number, Scaled(reader.Sleb()));
      case kAtExpressionOf: return Set(number, Expression(reader, Where::kAtExpression));
      case kValExpression: return Set(number, Expression(reader, Where::kExpression));
      default: return Refuse();
    }
  }

  RegisterRule Expression(SectionReader& reader, Where where) {
    uint64_t bytes = reader.Uleb();
    uint64_t offset = reader.position() - row_.expressions;
    reader.Skip(bytes);
    if (bytes > 0xFFFF || offset > 0x7FFF'FFFF) Refuse();
    return {where, 0, static_cast<uint16_t>(bytes), static_cast<int32_t>(offset)};
  }

  void Set(uint64_t number, const RegisterRule& rule) {
    int slot = Arch::Slot(number);
    if (slot >= 0) row_.registers[slot] = rule;  // registers that are not tracked cannot matter
  }
  void SaveAtCfa(uint64_t number, int64_t offset) { Set(number, {Where::kAtCfa, 0, 0, Narrow(offset)}); }
  void ValueAt(uint64_t number, int64_t offset) { Set(number, {Where::kCfaPlus, 0, 0, Narrow(offset)}); }
  void Restore(uint64_t number) {
    int slot = Arch::Slot(number);
    if (slot >= 0) row_.registers[slot] = initial_.registers[slot];
  }

  void Remember() {
    if (remembered_count_ == kRemembered) return Refuse();
    remembered_[remembered_count_++] = row_;
  }
  void Recall() {
    if (remembered_count_ == 0) return Refuse();
    row_ = remembered_[--remembered_count_];
  }

  void Advance(uint64_t delta) { location_ += delta * description_.code_alignment; }
  int64_t Scaled(int64_t factored) {
    int64_t result = 0;
    if (__builtin_mul_overflow(factored, description_.data_alignment, &result)) Refuse();
    return result;
  }
  int32_t Narrow(int64_t value) {
    if (value != static_cast<int32_t>(value)) Refuse();
    return static_cast<int32_t>(value);
  }
  void Refuse() { supported_ = false; }

  const FrameDescription& description_;
  Row<Arch>& row_;
  Row<Arch> initial_;
  Row<Arch> remembered_[kRemembered];
  uint32_t remembered_count_ = 0;
  uint64_t location_ = 0;
  bool supported_ = true;
};

}  // namespace

template <typename Arch>
RowError BuildRow(const FrameDescription& description, uint64_t pc, Row<Arch>* row) {
  return Interpreter<Arch>(description, row).Run(pc);
}

template RowError BuildRow<X86_64>(const FrameDescription&, uint64_t, Row<X86_64>*);
template RowError BuildRow<Aarch64>(const FrameDescription&, uint64_t, Row<Aarch64>*);

}  // namespace leakhunt::unwind
