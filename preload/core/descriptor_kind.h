// What a descriptor is, asked of the kernel: its type, inode and the text behind it. Raw system calls only.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::core {

struct DescriptorKind {
  protocol::HandleType type = protocol::HandleType::kOther;
  uint64_t inode = 0;
  char link[protocol::kLabelBytes + 1] = {};  // target of /proc/thread-self/fd/N, its beginning
};

// False when `fd` is not open. About two microseconds. Any context.
bool AskDescriptorKind(int fd, DescriptorKind* kind);

}  // namespace leakhunt::core
