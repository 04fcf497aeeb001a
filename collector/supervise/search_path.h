// Where a command's file is: PATH as execvp searches it.
#pragma once

#include <string>

namespace leakhunt::supervise {

struct FoundProgram {
  std::string path;   // empty when it cannot be run
  int exit_code = 0;  // 127 not found, 126 found but not executable
  int error = 0;      // errno of the failure
};

FoundProgram FindProgram(const std::string& name);

}  // namespace leakhunt::supervise
