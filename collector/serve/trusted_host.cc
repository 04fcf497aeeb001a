#include "collector/serve/trusted_host.h"

#include <arpa/inet.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>

namespace leakhunt::serve {
namespace {

bool Same(const std::string& a, const std::string& b) { return strcasecmp(a.c_str(), b.c_str()) == 0; }

std::string WithoutPort(std::string host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

bool IsTrustedHost(std::string host, const std::vector<std::string>& names) {
  host = WithoutPort(std::move(host));
  if (host.empty() || host.front() == '[' || Same(host, "localhost")) return true;
  in_addr address;
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return true;
  char own[256] = {};
  if (gethostname(own, sizeof(own) - 1) == 0 && Same(host, own)) return true;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Same(host, WithoutPort(name)); });
}

}  // namespace leakhunt::serve
