#include "collector/serve/http_server.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "collector/notice.h"
#include "collector/serve/bearer_token.h"

namespace leakhunt::serve {
namespace {

constexpr int kUsage = 2;

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

// In the child: the token is its standard input, where neither its arguments nor its environment show it.
void PassToken(const std::string& token) {
  int ends[2];
  if (token.empty() || pipe(ends) != 0) return;
  (void)!write(ends[1], token.data(), token.size());  // at most 4 KiB: a pipe holds it
  dup2(ends[0], STDIN_FILENO);
  close(ends[0]);
  close(ends[1]);
}

void SayWhoMayRead(const HttpSettings& settings) {
  const std::string where = "the HTTP API listens at " + AddressText(settings.address);
  if (!settings.address.path.empty()) return Detail(where + ", for this user alone");
  if (!settings.token.empty()) return Notice(where + "; requests must bear the token");
  Notice(where +
         ", where every user of this host can read the recordings; --http-token-file FILE or --http unix:PATH "
         "keeps them private");
}

}  // namespace

Result<HttpSettings> ParseHttpSettings(const std::string& address, const std::vector<std::string>& hosts,
                                       const std::string& token_file) {
  HttpSettings settings;
  auto parsed = ParseHttpAddress(address);
  if (!parsed) return std::move(parsed.error()).Wrap("--http");
  settings.address = *parsed;
  settings.hosts = hosts;
  if (token_file.empty()) return settings;
  auto token = ReadTokenFile(token_file);
  if (!token) return std::move(token.error()).Wrap("--http-token-file");
  settings.token = *token;
  return settings;
}

Status HttpServer::Open(const HttpSettings& settings) {
  auto listener = Listener::Open(settings.address);
  if (!listener) return std::move(listener.error()).Wrap("--http");
  if (!listener->IsLocal() && settings.token.empty()) {
    return Error{"--http: " + AddressText(settings.address) +
                     " can be reached from other hosts: give --http-token-file FILE, a loopback address or unix:PATH",
                 kUsage};
  }
  listener_.emplace(std::move(*listener));
  return Ok();
}

Status HttpServer::Start(const HttpSettings& settings, const std::filesystem::path& output) {
  std::filesystem::path program = FindServer();
  if (program.empty()) return Error{"leakhunt-http is not installed beside leakhunt-collect"};
  const std::string fd = std::to_string(listener_->Fd()), collector = std::to_string(getpid());
  std::vector<const char*> arguments = {"leakhunt-http", fd.c_str(), output.c_str(), collector.c_str()};
  for (const std::string& host : settings.hosts) arguments.push_back(host.c_str());
  arguments.push_back(nullptr);
  bool started = companion_.Start("leakhunt-http", listener_->Fd(), [&] {
    PassToken(settings.token);
    fcntl(listener_->Fd(), F_SETFD, 0);
    execv(program.c_str(), const_cast<char* const*>(arguments.data()));
  });
  if (!started) return ErrnoError("cannot start the HTTP server", errno);
  SayWhoMayRead(settings);
  return Ok();
}

}  // namespace leakhunt::serve
