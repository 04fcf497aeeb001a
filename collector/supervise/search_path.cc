#include "collector/supervise/search_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace leakhunt::supervise {
namespace {

// 0 when `path` is a regular file we may execute, else errno.
int WhyNotExecutable(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return eaccess(path.c_str(), X_OK) == 0 ? 0 : errno;
}

FoundProgram Verdict(const std::string& path, int error) {
  if (error == 0) return {path, 0, 0};
  return {"", error == ENOENT || error == ENOTDIR ? 127 : 126, error};
}

}  // namespace

FoundProgram FindProgram(const std::string& name) {
  if (name.empty()) return Verdict(name, ENOENT);
  if (name.find('/') != std::string::npos) return Verdict(name, WhyNotExecutable(name));
  const char* variable = std::getenv("PATH");
  std::string path = variable == nullptr ? "/bin:/usr/bin" : variable;
  int worst = ENOENT;
  for (size_t at = 0; at <= path.size();) {
    size_t end = std::min(path.find(':', at), path.size());
    std::string directory = path.substr(at, end - at);
    std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    int error = WhyNotExecutable(candidate);
    if (error == 0) return Verdict(candidate, 0);
    if (error != ENOENT && error != ENOTDIR) worst = error;
    at = end + 1;
  }
  return Verdict(name, worst);
}

}  // namespace leakhunt::supervise
