// What the HTTP API answers: a closed list of paths over the HTTP library's routing.
//
// Requests are whole when they come here (front.h) and hostile. No GET changes anything. A browser's page from
// elsewhere is kept out by the Host and Origin headers.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "collector/serve/front.h"

namespace leakhunt::serve {

struct ApiSettings {
  std::filesystem::path output;    // recordings
  pid_t collector = 0;             // is asked for snapshots by signal
  std::vector<std::string> hosts;  // further names that Host may have
  std::string token;               // empty: none is asked for
  bool any_host = false;           // no browser gets there: a Unix socket
};

// The handler of whole requests. Thread-safe; copies share one state.
Front::Answer MakeApi(const ApiSettings& settings);

// A whole response with a JSON error, after which the connection closes.
std::string RefusalText(int status, const std::string& why);

}  // namespace leakhunt::serve
