#include "collector/serve/framing.h"

#include <strings.h>

#include <charconv>

namespace leakhunt::serve {
namespace {

Framing Refused(int status, const char* why) { return {Framing::State::kRefused, 0, status, why}; }

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool Is(std::string_view name, std::string_view wanted) {
  return name.size() == wanted.size() && strncasecmp(name.data(), wanted.data(), wanted.size()) == 0;
}

// A number of at most 9 digits; false for anything else.
bool ParseLength(std::string_view text, size_t* length) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return std::from_chars(text.data(), text.data() + text.size(), *length).ec == std::errc();
}

}  // namespace

Framing FrameRequest(std::string_view received) {
  const size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos || end > kMostHead) {
    if (received.size() <= kMostHead) return {};
    return Refused(431, "request line and headers are limited to 16 KiB");
  }
  size_t body = 0;
  bool given = false;
  std::string_view lines = received.substr(0, end);
  for (size_t at = lines.find("\r\n"); at != std::string_view::npos; at = lines.find("\r\n")) {
    lines.remove_prefix(at + 2);
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    const std::string_view name = line.substr(0, line.find(':'));
    if (name.size() == line.size()) continue;
    const std::string_view value = Trimmed(line.substr(name.size() + 1));
    if (Is(name, "Transfer-Encoding")) return Refused(411, "a body needs a Content-Length");
    if (!Is(name, "Content-Length")) continue;
    size_t length = 0;
    if (!ParseLength(value, &length) || (given && length != body)) return Refused(400, "Content-Length is no length");
    body = length, given = true;
  }
  if (body > kMostBody) return Refused(413, "bodies are limited to 4 KiB");
  const size_t size = end + 4 + body;
  if (received.size() < size) return {};
  return {Framing::State::kWhole, size, 0, ""};
}

}  // namespace leakhunt::serve
