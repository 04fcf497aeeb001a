#include "collector/serve/http_server.h"

#include <unistd.h>

#include <charconv>
#include <system_error>

namespace leakhunt::serve {
namespace {

// As installed (libexec/leakhunt), or in the build tree (collector/serve).
std::filesystem::path FindServer() {
  std::error_code error;
  std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate :
       {here.parent_path() / "libexec" / "leakhunt" / "leakhunt-http", here / "serve" / "leakhunt-http"}) {
    if (std::filesystem::exists(candidate, error)) return candidate;
  }
  return {};
}

}  // namespace

Result<HttpAddress> ParseHttpAddress(const std::string& text) {
  HttpAddress address;
  size_t colon = text.rfind(':');
  std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || rest != port.data() + port.size() || address.port < 1 || address.port > 65535) {
    return Error{"'" + text + "' is not ADDRESS:PORT"};
  }
  if (!host.empty()) address.host = host;
  return address;
}

Status HttpServer::Start(const HttpAddress& address, const std::filesystem::path& output) {
  std::filesystem::path program = FindServer();
  if (program.empty()) return Error{"leakhunt-http is not installed beside leakhunt-collect"};
  std::string port = std::to_string(address.port), collector = std::to_string(getpid());
  bool started = companion_.Start("leakhunt-http", -1, [&] {
    execl(program.c_str(), "leakhunt-http", address.host.c_str(), port.c_str(), output.c_str(), collector.c_str(),
          nullptr);
  });
  return started ? Ok() : Status(ErrnoError("cannot start the HTTP server", errno));
}

}  // namespace leakhunt::serve
