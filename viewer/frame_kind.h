// Whose code a frame is, by its names alone.
#pragma once

#include <string_view>

namespace leakhunt::viewer {

// Machinery that answers a malloc, new, mmap or open: taken off the innermost end of every stack.
bool IsAllocatorFrame(std::string_view module, std::string_view function);

// The C or C++ runtime: kept in the stack, but never the place to look at first.
bool IsRuntimeFrame(std::string_view module, std::string_view function, std::string_view file);

}  // namespace leakhunt::viewer
