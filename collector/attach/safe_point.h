// Whether a stopped thread may be made to load a library: when it is inside neither an allocator nor the loader, whose
// locks it might hold. The other threads run on, so locks they hold come free.
#pragma once

#include <sys/types.h>

#include <memory>

#include "collector/base/result.h"

struct Dwfl;

namespace leakhunt::attach {

// Walks the stacks of one process's stopped threads by the unwind tables of its objects.
class SafePoint {
 public:
  static Result<SafePoint> Of(pid_t pid);
  ~SafePoint();
  SafePoint(SafePoint&&) noexcept;

  // False also when the stack cannot be walked to its end: code of a JIT, for one, is no place to judge by.
  bool IsAt(pid_t tid) const;

 private:
  explicit SafePoint(Dwfl* dwfl) : dwfl_(dwfl) {}
  Dwfl* dwfl_;
};

}  // namespace leakhunt::attach
