// leakhunt-http LISTENER OUTPUT COLLECTOR [HOST…]: the HTTP API of `leakhunt-collect --http`, in a process of its own.
//
// Started by the collector and gone with it. LISTENER is the number of a listening descriptor that the collector
// opened; standard input holds the token that requests must bear, or nothing. Reads the recordings below OUTPUT and
// asks leakhunt-report; a snapshot is asked of the collector by signal.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "collector/base/clean_text.h"
#include "collector/serve/api.h"

namespace leakhunt::serve {
namespace {

std::string ReadToken() {
  std::string token;
  char buffer[4096];
  for (ssize_t got; (got = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0;)
    token.append(buffer, static_cast<size_t>(got));
  return token;
}

bool IsUnixSocket(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 && name.ss_family == AF_UNIX;
}

int Main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "leakhunt-http is started by leakhunt-collect --http\n");
    return 2;
  }
  const int listener = std::atoi(argv[1]);
  ApiSettings settings{argv[2], std::atoi(argv[3]), {argv + 4, argv + argc}, ReadToken(), IsUnixSocket(listener)};
  Front front(listener, MakeApi(settings), RefusalText);
  const int error = front.Run();
  std::fputs(MessageLine("leakhunt-collect", std::string("the HTTP API has ended: ") + std::strerror(error)).c_str(),
             stderr);
  return 1;
}

}  // namespace
}  // namespace leakhunt::serve

int main(int argc, char** argv) { return leakhunt::serve::Main(argc, argv); }
