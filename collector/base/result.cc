#include "collector/base/result.h"

#include <cstring>

namespace leakhunt {

Error ErrnoError(const std::string& what, int errno_value) {
  char buffer[128];
  return Error{what + ": " + strerror_r(errno_value, buffer, sizeof(buffer)), 1, errno_value};
}

}  // namespace leakhunt
