// Just enough HTTP/1.1 for the bundled service: one request in, one response out, keep-alive. Blocking, one connection
// a thread at a time; a request is bounded to 16 KiB of head and body together, anything else closes the connection.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace leaky {

struct Request {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::string body;

  std::string Parameter(const std::string& name, std::string_view otherwise = "") const;
};

struct Response {
  int status = 200;
  std::string body;
};

// Reads the next request of a connection; `pending` keeps what was read beyond it. False: closed, or not HTTP.
bool ReadRequest(int connection, std::string& pending, Request& request);

// False when the peer has gone.
bool WriteResponse(int connection, const Response& response);

// A listening TCP socket on 127.0.0.1 (port 0: any free one); -1 with errno on failure. Owned by the caller.
int ListenOnLoopback(int port);

int PortOf(int listener);

// A TCP connection to 127.0.0.1:port; -1 with errno on failure. Owned by the caller.
int ConnectToLoopback(int port);

}  // namespace leaky
