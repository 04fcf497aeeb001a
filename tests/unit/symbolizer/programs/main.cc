// Sample code: the entry, with a static helper that another unit has by the same name.
#include <cstdio>

#include "shapes.h"

extern "C" int list_run(int count);

static int helper(int argc) {
  shapes::Polygon polygon({1.0, 2.0 * argc, 3.0});
  return static_cast<int>(shapes::Describe(polygon, argc + 3).size());
}

int main(int argc, char**) {
  std::printf("%d\n", helper(argc) + list_run(argc + 10));
  return 0;
}
