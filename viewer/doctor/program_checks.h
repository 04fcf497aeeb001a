// Whether a program file can be recorded by preloading.
#pragma once

#include <filesystem>
#include <string>

#include "collector/base/result.h"
#include "viewer/doctor/symptom.h"

namespace leakhunt::viewer {

// Looks a command up as a shell does: with a slash as it is, else in $PATH. Error: not found.
Result<std::filesystem::path> FindProgram(const std::string& command);

// Static, machine, libc, setuid, capabilities, own malloc; follows "#!" to the interpreter. `library`: libleakhunt.so,
// empty when unknown.
Status CheckProgram(const std::filesystem::path& program, const std::string& library, Symptoms& symptoms);

}  // namespace leakhunt::viewer
