#include "viewer/doctor/process_checks.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "viewer/doctor/program_checks.h"
#include "viewer/doctor/surroundings.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostText = 16 << 20;

// Empty when it cannot be read.
std::string ReadText(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  char chunk[65536];
  while (stream && text.size() < kMostText) {
    stream.read(chunk, sizeof chunk);
    text.append(chunk, static_cast<size_t>(stream.gcount()));
  }
  return text;
}

std::string StatusField(const std::string& status, const std::string& name) {
  size_t at = status.find("\n" + name + ":");
  if (at == std::string::npos) return "";
  size_t start = status.find_first_not_of(" \t", at + name.size() + 2);
  return status.substr(start, status.find_first_of("\t\n", start) - start);
}

Environment EnvironmentOf(const fs::path& process) {
  Environment environment;
  std::stringstream entries(ReadText(process / "environ"));
  for (std::string entry; std::getline(entries, entry, '\0');) {
    if (size_t equals = entry.find('='); equals != std::string::npos) {
      environment[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }
  return environment;
}

void CheckPreloaded(const std::string& maps, const Environment& environment, Symptoms& symptoms) {
  if (maps.find("libleakhunt.so") != std::string::npos) {
    symptoms.push_back({Health::kGood, "preload", "libleakhunt.so is loaded", ""});
    if (maps.find("/memfd:leakhunt") == std::string::npos) {
      symptoms.push_back({Health::kProblem, "pages", "the library is loaded but keeps no pages: it switched itself off",
                          "look for its line on the program's stderr, or set LEAKHUNT_LOG=stderr"});
    }
    return;
  }
  auto preload = environment.find("LD_PRELOAD");
  if (preload != environment.end() && preload->second.find("libleakhunt") != std::string::npos) {
    symptoms.push_back({Health::kProblem, "preload", "LD_PRELOAD names the library but it is not loaded",
                        "see what is said of the program, and whether the path is right inside its container"});
    return;
  }
  symptoms.push_back({Health::kProblem, "preload", "the process was started without LD_PRELOAD=libleakhunt.so",
                      "start it as leakhunt-collect -- CMD, or attach: leakhunt-collect --pid PID"});
}

void CheckRestrictions(const fs::path& process, const std::string& status, Symptoms& symptoms) {
  if (StatusField(status, "Seccomp") == "2") {
    symptoms.push_back({Health::kNote, "seccomp", "a seccomp filter is installed: leakhunt's pages cannot grow after that", ""});
  }
  std::error_code defect;
  fs::path own = fs::read_symlink("/proc/self/ns/mnt", defect), its = fs::read_symlink(process / "ns/mnt", defect);
  if (!defect && own != its) {
    symptoms.push_back({Health::kNote, "container", "it lives in another mount namespace: the library and the socket must exist there", ""});
  }
}

}  // namespace

Status CheckProcess(int pid, const std::string& library, Symptoms& symptoms) {
  fs::path process = fmt::format("/proc/{}", pid);
  struct stat owner;
  if (::stat(process.c_str(), &owner) != 0) return Error{fmt::format("no process {}", pid)};
  std::string status = ReadText(process / "status"), maps = ReadText(process / "maps");
  std::error_code defect;
  fs::path program = fs::read_symlink(process / "exe", defect);
  if (defect || maps.empty()) {
    bool kernel_thread = StatusField(status, "VmSize").empty();
    symptoms.push_back({Health::kProblem, "permissions",
                        kernel_thread ? "it is a kernel thread or has ended" : "this user may not look into the process",
                        kernel_thread ? "" : fmt::format("run as user {} or as root", owner.st_uid)});
    return Ok();
  }
  Environment environment = EnvironmentOf(process);
  CheckPreloaded(maps, environment, symptoms);
  CheckRestrictions(process, status, symptoms);
  CheckCollector(environment, owner.st_uid, symptoms);
  if (Status checked = CheckProgram(process / "exe", library, symptoms); !checked) {
    symptoms.push_back({Health::kNote, "program", checked.error().message, ""});
  }
  return Ok();
}

}  // namespace leakhunt::viewer
