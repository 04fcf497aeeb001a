// The machine behind expression.h: a stack of 64-bit words and the operations compilers and libcs emit in CFI.
#include "preload/unwind/expression.h"

#include "preload/unwind/section_reader.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kDepth = 16;
constexpr uint32_t kMaxSteps = 256;  // branches could loop

enum Operation : uint8_t {
  kAddr = 0x03, kDeref = 0x06, kConst1u = 0x08, kConst1s, kConst2u, kConst2s, kConst4u, kConst4s, kConst8u, kConst8s,
  kConstu, kConsts, kDup = 0x12, kDrop, kOver, kPick, kSwap, kRot, kAbs = 0x19, kAnd, kDiv, kMinus, kMod, kMul, kNeg,
  kNot, kOr, kPlus, kPlusUconst, kShl, kShr, kShra, kXor, kBra = 0x28, kEq, kGe, kGt, kLe, kLt, kNe, kSkip,
  kLit0 = 0x30, kLit31 = 0x4F, kBreg0 = 0x70, kBreg31 = 0x8F, kBregx = 0x92, kDerefSize = 0x94, kNop = 0x96,
};

template <typename Arch>
class Machine {
 public:
  Machine(uint64_t code, uint32_t bytes, const MachineState<Arch>& state, const StackLimits& readable)
      : reader_(code, code + bytes), begin_(code), state_(state), readable_(readable) {}

  Evaluation Run(uint64_t* result) {
    for (uint32_t step = 0; !reader_.AtEnd(); ++step) {
      if (step == kMaxSteps) return Evaluation::kRefused;
      Step(reader_.Read<uint8_t>());
      if (outcome_ != Evaluation::kDone) return outcome_;
    }
    if (!reader_.ok() || depth_ == 0) return Evaluation::kRefused;
    *result = stack_[depth_ - 1];
    return Evaluation::kDone;
  }

  void Push(uint64_t value) {
    if (depth_ == kDepth) return Refuse();
    stack_[depth_++] = value;
  }

 private:
  void Refuse() { outcome_ = Evaluation::kRefused; }

  uint64_t Pop() {
    if (depth_ == 0) return Refuse(), 0;
    return stack_[--depth_];
  }

  void Pick(uint32_t below_top) {
    if (below_top >= depth_) return Refuse();
    Push(stack_[depth_ - 1 - below_top]);
  }

  void PushRegister(uint64_t number, int64_t offset) {
    int slot = Arch::Slot(number);
    if (slot < 0) return Refuse();
    if (!state_.Knows(static_cast<uint32_t>(slot))) {
      outcome_ = Evaluation::kNeedsRegister;
      return;
    }
    Push(state_.value[slot] + static_cast<uint64_t>(offset));
  }

  void Load(uint32_t bytes) {
    uint64_t address = Pop(), value = 0;
    if (bytes == 0 || bytes > 8 || address < readable_.low || address >= readable_.high ||
        readable_.high - address < bytes) {
      return Refuse();
    }
    __builtin_memcpy(&value, reinterpret_cast<const void*>(address), bytes);
    Push(value);
  }

  void Step(uint8_t op) {
    if (op >= kLit0 && op <= kLit31) return Push(op - kLit0);
    if (op >= kBreg0 && op <= kBreg31) return PushRegister(op - kBreg0, reader_.Sleb());
    if (op <= kConsts) return Constant(op);
    if (op <= kRot) return Shuffle(op);
    switch (op) {
      case kAbs: case kNeg: case kNot: case kPlusUconst: return Unary(op);
      case kBra: {
        int16_t distance = reader_.template Read<int16_t>();
        if (Pop() != 0) reader_.Jump(distance, begin_);
        return;
      }
      case kSkip: {
        int16_t distance = reader_.template Read<int16_t>();
        return reader_.Jump(distance, begin_);
      }
      case kBregx: {
        uint64_t number = reader_.Uleb();
        return PushRegister(number, reader_.Sleb());
      }
      case kDerefSize: return Load(reader_.template Read<uint8_t>());
      case kNop: return;
      default: return Binary(op);
    }
  }

  void Constant(uint8_t op) {
    switch (op) {
      case kAddr: case kConst8u: case kConst8s: return Push(reader_.template Read<uint64_t>());
      case kDeref: return Load(8);
      case kConst1u: return Push(reader_.template Read<uint8_t>());
      case kConst1s: return PushSigned(reader_.template Read<int8_t>());
      case kConst2u: return Push(reader_.template Read<uint16_t>());
      case kConst2s: return PushSigned(reader_.template Read<int16_t>());
      case kConst4u: return Push(reader_.template Read<uint32_t>());
      case kConst4s: return PushSigned(reader_.template Read<int32_t>());
      case kConstu: return Push(reader_.Uleb());
      case kConsts: return PushSigned(reader_.Sleb());
      default: return Refuse();
    }
  }

  void PushSigned(int64_t value) { Push(static_cast<uint64_t>(value)); }

  void Shuffle(uint8_t op) {
    switch (op) {
      case kDup: return Pick(0);
      case kDrop: Pop(); return;
      case kOver: return Pick(1);
      case kPick: return Pick(reader_.template Read<uint8_t>());
      case kSwap: {
        uint64_t a = Pop(), b = Pop();
        Push(a);
        return Push(b);
      }
      case kRot: {
        uint64_t a = Pop(), b = Pop(), c = Pop();
        Push(a);
        Push(c);
        return Push(b);
      }
      default: return Refuse();
    }
  }

  void Unary(uint8_t op) {
    uint64_t a = Pop();
    switch (op) {
      case kAbs: return Push(static_cast<int64_t>(a) < 0 ? 0 - a : a);
      case kNeg: return Push(0 - a);
      case kNot: return Push(~a);
      default: return Push(a + reader_.Uleb());
    }
  }

  void Binary(uint8_t op) {
    uint64_t b = Pop(), a = Pop();
    int64_t sa = static_cast<int64_t>(a), sb = static_cast<int64_t>(b);
    switch (op) {
      case kAnd: return Push(a & b);
      case kDiv: return b == 0 ? Refuse() : sb == -1 ? Push(0 - a) : PushSigned(sa / sb);
      case kMinus: return Push(a - b);
      case kMod: return b == 0 ? Refuse() : Push(a % b);
      case kMul: return Push(a * b);
      case kOr: return Push(a | b);
      case kPlus: return Push(a + b);
      case kShl: return Push(b < 64 ? a << b : 0);
      case kShr: return Push(b < 64 ? a >> b : 0);
      case kShra: return PushSigned(sa >> (b < 63 ? b : 63));
      case kXor: return Push(a ^ b);
      case kEq: return Push(a == b);
      case kGe: return Push(sa >= sb);
      case kGt: return Push(sa > sb);
      case kLe: return Push(sa <= sb);
      case kLt: return Push(sa < sb);
      case kNe: return Push(a != b);
      default: return Refuse();
    }
  }

  SectionReader reader_;
  uint64_t begin_;
  const MachineState<Arch>& state_;
  StackLimits readable_;
  uint64_t stack_[kDepth];
  uint32_t depth_ = 0;
  Evaluation outcome_ = Evaluation::kDone;
};

}  // namespace

template <typename Arch>
Evaluation EvaluateExpression(uint64_t code, uint32_t bytes, const MachineState<Arch>& state,
                              const StackLimits& readable, bool push_initial, uint64_t initial, uint64_t* result) {
  Machine<Arch> machine(code, bytes, state, readable);
  if (push_initial) machine.Push(initial);
  return machine.Run(result);
}

template Evaluation EvaluateExpression<X86_64>(uint64_t, uint32_t, const MachineState<X86_64>&, const StackLimits&,
                                               bool, uint64_t, uint64_t*);
template Evaluation EvaluateExpression<Aarch64>(uint64_t, uint32_t, const MachineState<Aarch64>&, const StackLimits&,
                                                bool, uint64_t, uint64_t*);

}  // namespace leakhunt::unwind
