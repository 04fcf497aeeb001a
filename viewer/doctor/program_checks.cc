#include "viewer/doctor/program_checks.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "viewer/doctor/elf_facts.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrivileged =
    "run it as the target user without the bit, or attach: leakhunt-collect --pid PID as root";

void CheckPrivileges(const fs::path& program, Symptoms& symptoms) {
  struct stat status;
  if (::stat(program.c_str(), &status) != 0) return;
  bool changes_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != ::geteuid();
  bool changes_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != ::getegid();
  if ((status.st_mode & (S_ISUID | S_ISGID)) != 0) {
    Health health = changes_user || changes_group ? Health::kProblem : Health::kNote;
    symptoms.push_back({health, "setuid", program.string() + " is setuid or setgid: the loader ignores LD_PRELOAD by path",
                        kPrivileged});
  }
  if (::getxattr(program.c_str(), "security.capability", nullptr, 0) > 0) {
    symptoms.push_back({Health::kProblem, "capabilities",
                        program.string() + " has file capabilities: the loader ignores LD_PRELOAD by path", kPrivileged});
  }
}

void CheckLoader(const fs::path& program, const ElfFacts& facts, Symptoms& symptoms) {
  if (facts.is_loader) {
    symptoms.push_back({Health::kGood, "static", program.string() + " is the loader: what it is told to run is recorded", ""});
    return;
  }
  if (facts.interpreter.empty()) {
    symptoms.push_back({Health::kProblem, "static",
                        program.string() + " is statically linked: no library can be preloaded into it",
                        facts.is_go ? "build it with dynamic linking; of a Go program only mappings and handles are seen"
                                    : "link it dynamically"});
    return;
  }
  symptoms.push_back({Health::kGood, "static", "dynamically linked, loaded by " + facts.interpreter, ""});
  bool musl = facts.interpreter.find("musl") != std::string::npos;
  bool glibc = facts.interpreter.find("ld-linux") != std::string::npos;
  if (musl) {
    symptoms.push_back({Health::kNote, "libc", "musl: LD_PRELOAD works there with the full path of the library", ""});
  } else if (glibc) {
    symptoms.push_back({Health::kGood, "libc", "glibc", ""});
  } else {
    symptoms.push_back({Health::kProblem, "libc", "loaded by " + facts.interpreter + ", which is neither glibc's nor musl's",
                        "leakhunt knows glibc and musl"});
  }
}

void CheckMachine(const ElfFacts& facts, const std::string& library, Symptoms& symptoms) {
  if (library.empty()) return;
  Result<ElfFacts> ours = ReadElfFacts(library);
  if (!ours || (ours->machine == facts.machine && ours->is_64_bit == facts.is_64_bit)) return;
  symptoms.push_back({Health::kProblem, "machine",
                      fmt::format("the program is for {}{}, the library for {}", MachineName(facts.machine),
                                  facts.is_64_bit ? "" : " (32 bit)", MachineName(ours->machine)),
                      "build leakhunt for the program's architecture"});
}

void CheckMalloc(const fs::path& program, const ElfFacts& facts, Symptoms& symptoms) {
  if (facts.is_go) {
    symptoms.push_back({Health::kNote, "malloc", "a Go program: its heap is its own; mappings, handles and C code are seen", ""});
  } else if (facts.defines_malloc && !facts.interpreter.empty()) {
    symptoms.push_back({Health::kProblem, "malloc",
                        program.string() + " defines malloc itself: its own allocations do not pass through the library",
                        "link the allocator as a shared library, or preload it"});
  } else if (!facts.interpreter.empty()) {
    symptoms.push_back({Health::kGood, "malloc", "the program does not define malloc itself", ""});
  }
}

Status CheckElf(const fs::path& program, const std::string& library, Symptoms& symptoms) {
  Result<ElfFacts> facts = ReadElfFacts(program);
  if (!facts) return std::move(facts.error());
  CheckMachine(*facts, library, symptoms);
  CheckLoader(program, *facts, symptoms);
  CheckMalloc(program, *facts, symptoms);
  return Ok();
}

}  // namespace

Result<fs::path> FindProgram(const std::string& command) {
  std::error_code ignored;
  if (command.find('/') != std::string::npos) {
    if (!fs::exists(command, ignored)) return Error{command + ": no such file"};
    return fs::path(command);
  }
  const char* path = std::getenv("PATH");
  std::stringstream directories(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    fs::path candidate = fs::path(directory.empty() ? "." : directory) / command;
    if (::access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate, ignored)) return candidate;
  }
  return Error{command + ": not found in PATH"};
}

Status CheckProgram(const fs::path& program, const std::string& library, Symptoms& symptoms) {
  if (::access(program.c_str(), X_OK) != 0) {
    symptoms.push_back({Health::kProblem, "permissions", program.string() + " is not executable for this user", "chmod a+x, or another user"});
  }
  CheckPrivileges(program, symptoms);
  fs::path binary = program;
  for (int depth = 0; depth < 4; ++depth) {
    std::string interpreter = ScriptInterpreter(binary);
    if (interpreter.empty()) break;
    Result<fs::path> found = FindProgram(interpreter);
    if (!found) return std::move(found.error()).Wrap(binary.string());
    symptoms.push_back({Health::kGood, "script", binary.string() + " is run by " + found->string(), ""});
    binary = *found;
    CheckPrivileges(binary, symptoms);
  }
  return CheckElf(binary, library, symptoms);
}

}  // namespace leakhunt::viewer
