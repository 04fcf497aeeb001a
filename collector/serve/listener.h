// Where the HTTP API listens: a TCP address or a Unix socket, opened by the collector before anything else starts.
//
// An address in use is refused; it is never shared. A Unix socket is for its owner alone (mode 0600) and is removed
// at the end; a stale one is replaced under a lock beside it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::serve {

struct HttpAddress {
  std::string host = "127.0.0.1";  // of a TCP address
  int port = 0;
  std::filesystem::path path;  // of a Unix socket; empty: TCP
};

// "8080", ":8080", "10.0.0.1:8080", "[::1]:8080", "unix:/run/user/1000/leakhunt-http.sock".
Result<HttpAddress> ParseHttpAddress(const std::string& text);

// "http://127.0.0.1:8080/" or "unix:PATH".
std::string AddressText(const HttpAddress& address);

class Listener {
 public:
  Listener() = default;
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();  // removes its Unix socket, unless another stands there

  static Result<Listener> Open(const HttpAddress& address);

  int Fd() const { return socket_.Get(); }

  // Whether only this host reaches it: loopback or a Unix socket.
  bool IsLocal() const { return local_; }

 private:
  Status OpenUnix(const std::filesystem::path& path);
  Status OpenTcp(const HttpAddress& address);

  UniqueFd socket_, lock_;
  bool local_ = false;
  std::filesystem::path path_;  // of the Unix socket that was made here
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace leakhunt::serve
