// The HTTP API of `--http`, from the collector's side: its address, its token, and the companion process that serves
// it.
//
// A process and a program of its own: what HTTP needs (threads, a library, memory for answers) is not the recorder's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/companion.h"
#include "collector/serve/listener.h"

namespace leakhunt::serve {

struct HttpSettings {
  HttpAddress address;
  std::vector<std::string> hosts;  // further names that a request's Host may have
  std::string token;               // empty: none is asked for
};

// From the options' texts. Reads the token file; the error says which option is wrong.
Result<HttpSettings> ParseHttpSettings(const std::string& address, const std::vector<std::string>& hosts,
                                       const std::string& token_file);

class HttpServer {
 public:
  // Opens the address. An address in use, or one that others reach without a token, is an error; the second has the
  // exit code 2.
  Status Open(const HttpSettings& settings);

  // Serves the recordings below `output` until this object or the collector ends, and says in the log who may read.
  Status Start(const HttpSettings& settings, const std::filesystem::path& output);

 private:
  std::optional<Listener> listener_;
  Companion companion_;  // ends before its listener
};

}  // namespace leakhunt::serve
