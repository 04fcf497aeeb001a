// Function names short enough to be read.
#pragma once

#include <string>

namespace leakhunt::viewer {

// A C++ name without parameters, template arguments and return type: "void std::vector<int>::push_back(int&&)" ->
// "std::vector::push_back". Names of other languages, and what cannot be shortened, come back as they are.
std::string ShortFunction(const std::string& function);

}  // namespace leakhunt::viewer
