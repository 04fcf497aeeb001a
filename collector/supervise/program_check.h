// Whether a program can be recorded at all, by its file: static, set-user-ID, other libc, other machine.
//
// Reads ELF headers through libelf; a script is judged by its interpreter. The file is foreign: any defect means
// "cannot tell", never an error.
#pragma once

#include <string>
#include <string_view>

namespace leakhunt::supervise {

enum class Obstacle {
  kNone,          // or cannot tell
  kStatic,        // no dynamic loader: LD_PRELOAD has no effect
  kPrivileged,    // set-user-ID, set-group-ID or file capabilities: the loader ignores us
  kMusl,          // another C library: see LoadsUnderMusl
  kOtherMachine,  // 32-bit or another architecture: the loader would complain on the program's stderr
};

struct ProgramCheck {
  Obstacle obstacle = Obstacle::kNone;
  std::string file;  // the file judged: the program, or its interpreter
};

// `path` as it would be executed.
ProgramCheck CheckProgram(const std::string& path);

// True when the loader of a musl program can take `library`: it needs the C library alone, by a name that musl's loader
// takes for its own ("libc." and any ending: ldso/dynlink.c, load_library), and none of glibc's loader.
bool LoadsUnderMusl(const std::string& library);

// True when `path` is an ELF file for this machine.
bool IsLibraryForUs(const std::string& path);

// One line for people: what stands in the way and what to do. Empty for kNone.
std::string Explain(const ProgramCheck& check);

}  // namespace leakhunt::supervise
