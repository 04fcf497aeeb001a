#include "viewer/doctor/surroundings.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "collector/base/unique_fd.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

std::string ValueOf(const Environment& environment, const std::string& name) {
  auto at = environment.find(name);
  return at == environment.end() ? "" : at->second;
}

// In the order in which a preloaded program tries them.
std::vector<std::string> Candidates(const Environment& environment, unsigned uid) {
  if (std::string own = ValueOf(environment, "LEAKHUNT_SOCKET"); !own.empty()) return {own};
  std::vector<std::string> paths;
  if (std::string runtime = ValueOf(environment, "XDG_RUNTIME_DIR"); !runtime.empty()) {
    paths.push_back(runtime + "/leakhunt.sock");
  }
  paths.push_back(fmt::format("/tmp/leakhunt-{}/collector.sock", uid));
  paths.push_back("/run/leakhunt/collector.sock");
  return paths;
}

// 0 when something listens there, else errno.
int TryConnect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.Valid()) return errno;
  return ::connect(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

void SayNoCollector(const std::string& mode, bool chosen, const std::string& refusals, Symptoms& symptoms) {
  if (mode == "connect" || chosen) {
    symptoms.push_back({Health::kProblem, "collector", "no collector listens" + refusals,
                        "start one: leakhunt-collect, or run the program as leakhunt-collect -- CMD"});
    return;
  }
  symptoms.push_back({Health::kNote, "collector", "no collector listens" + refusals +
                      "; a preloaded program starts one by itself", ""});
}

}  // namespace

Environment OwnEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string text = *entry;
    size_t equals = text.find('=');
    std::string name = text.substr(0, equals);
    bool ours = name.starts_with("LEAKHUNT_") || name == "XDG_RUNTIME_DIR" || name == "LD_PRELOAD";
    if (ours && equals != std::string::npos) environment[name] = text.substr(equals + 1);
  }
  return environment;
}

void CheckCollector(const Environment& environment, unsigned uid, Symptoms& symptoms) {
  std::string mode = ValueOf(environment, "LEAKHUNT_COLLECTOR");
  if (mode == "off") {
    symptoms.push_back({Health::kProblem, "collector", "LEAKHUNT_COLLECTOR=off: the library passes everything through",
                        "unset LEAKHUNT_COLLECTOR"});
    return;
  }
  std::string refusals;
  for (const std::string& path : Candidates(environment, uid)) {
    int defect = TryConnect(path);
    if (defect == 0) {
      symptoms.push_back({Health::kGood, "socket", "a collector listens at " + path, ""});
      return;
    }
    if (defect == EACCES || defect == EPERM) {
      symptoms.push_back({Health::kProblem, "socket", "no permission to use " + path,
                          "run the collector as the program's user, or as root"});
      return;
    }
    if (defect != ENOENT) refusals += fmt::format("; {}: {}", path, std::strerror(defect));
  }
  SayNoCollector(mode, !ValueOf(environment, "LEAKHUNT_SOCKET").empty(), refusals, symptoms);
}

std::string CheckLibrary(Symptoms& symptoms) {
  std::error_code ignored;
  fs::path own = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path places[] = {own / "../lib/libleakhunt.so", own / "../lib64/libleakhunt.so", own / "libleakhunt.so",
                             own / "../preload/libleakhunt.so", "/usr/local/lib/libleakhunt.so", "/usr/lib/libleakhunt.so",
                             "/usr/lib/x86_64-linux-gnu/libleakhunt.so"};
  for (const fs::path& place : places) {
    if (!fs::is_regular_file(place, ignored)) continue;
    std::string path = fs::weakly_canonical(place, ignored);
    struct stat status;
    bool others_may_read = ::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
    if (others_may_read) {
      symptoms.push_back({Health::kGood, "library", path, ""});
    } else {
      symptoms.push_back({Health::kNote, "library", path + " is not readable for other users", "chmod a+r " + path});
    }
    return path;
  }
  symptoms.push_back({Health::kProblem, "library", "libleakhunt.so is neither beside this program nor in /usr/lib or /usr/local/lib",
                      "install leakhunt, or name the library by its full path in LD_PRELOAD"});
  return "";
}

}  // namespace leakhunt::viewer
