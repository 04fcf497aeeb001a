// The HTTP API of `--http`, from the collector's side: where it listens, and the companion process that serves it.
//
// A process and a program of its own: what HTTP needs (threads, a library, memory for answers) is not the recorder's.
#pragma once

#include <filesystem>
#include <string>

#include "collector/base/result.h"
#include "collector/companion.h"

namespace leakhunt::serve {

struct HttpAddress {
  std::string host = "127.0.0.1";
  int port = 0;
};

// "8080", ":8080", "10.0.0.1:8080", "[::1]:8080".
Result<HttpAddress> ParseHttpAddress(const std::string& text);

class HttpServer {
 public:
  // Serves the recordings below `output` until the collector ends. A port in use is a line on stderr, later.
  Status Start(const HttpAddress& address, const std::filesystem::path& output);

 private:
  Companion companion_;
};

}  // namespace leakhunt::serve
