// Work for a signal to interrupt: prologues, epilogues, leaves, shrink-wrapped and variable frames.
#include "tests/unit/unwind/situations.h"

namespace leakhunt::unwind_test {
namespace {

volatile int g_input = 3;

[[gnu::noinline]] int Leaf(int x) { return x * g_input + 1; }
[[gnu::noinline]] int Wrapped(int x) { return x > 5 ? Leaf(x) + Leaf(x + 1) * Leaf(x + 2) : x; }
[[gnu::noinline]] int Saved(int a, int b, int c) {
  int p = Leaf(a), q = Leaf(b), r = Leaf(c), s = Wrapped(p), t = Wrapped(q), u = Wrapped(r);
  return p + q * r + s * t + u;
}
[[gnu::noinline]] int Variable(int n) {
  volatile char* memory = static_cast<char*>(__builtin_alloca(static_cast<unsigned>(n & 63) + 1));
  memory[0] = static_cast<char>(n);
  return Saved(n, memory[0], 2);
}

}  // namespace

[[gnu::noinline]] int ChainWork(int depth) {
  if (depth == 0) return Variable(g_input);
  return ChainWork(depth - 1) + Variable(depth) + Wrapped(depth + 3);
}

}  // namespace leakhunt::unwind_test
