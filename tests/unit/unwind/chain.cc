// One recursive chain, compiled several times with other options: CHAIN names the entry point.
#include <cstdio>

#include "tests/unit/unwind/oracle.h"
#include "tests/unit/unwind/situations.h"

namespace leakhunt::unwind_test {
namespace {

struct Large {
  long words[20];
};

[[gnu::noinline]] int Even(int depth, Large by_value, double weight);

[[gnu::noinline]] int Odd(int depth, int a, int b, int c, int d, int e, int f, int on_stack, int also) {
  int sum = a * b + c * d + e * f + on_stack - also;
  Large large{};
  large.words[depth % 20] = sum;
  if (depth <= 0) {
    CompareWalks();
    return sum;
  }
  int left = Even(depth - 1, large, sum * 0.5);
  return left + static_cast<int>(large.words[3]) + a + f;
}

[[gnu::noinline]] int Even(int depth, Large by_value, double weight) {
  char text[64];
  snprintf(text, sizeof(text), "%d %f", depth, weight);
  int sum = text[0] + static_cast<int>(by_value.words[1]);
  if (depth <= 0) {
    CompareWalks();
    return sum;
  }
  return Odd(depth - 1, sum, 2, depth, 4, static_cast<int>(weight), 6, 7, 8) + text[1];
}

}  // namespace

int CHAIN(int depth) { return Odd(depth, 1, 2, 3, 4, 5, 6, 7, 8) + 1; }

}  // namespace leakhunt::unwind_test
