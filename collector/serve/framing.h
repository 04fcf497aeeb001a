// Where a request ends in what a connection has sent: HTTP/1.1's framing and nothing else.
//
// Pure; bytes are hostile. What a whole request means is the HTTP library's matter.
#pragma once

#include <cstddef>
#include <string_view>

namespace leakhunt::serve {

inline constexpr size_t kMostHead = 16 << 10;  // bytes of request line and headers
inline constexpr size_t kMostBody = 4096;

struct Framing {
  enum class State { kIncomplete, kWhole, kRefused };
  State state = State::kIncomplete;
  size_t size = 0;       // of a whole request with its body
  int status = 0;        // of a refusal
  const char* why = "";  // the same
};

// Of the request at the front of `received`. A request without Content-Length has no body, whatever its method.
Framing FrameRequest(std::string_view received);

}  // namespace leakhunt::serve
