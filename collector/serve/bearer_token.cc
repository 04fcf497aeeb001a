#include "collector/serve/bearer_token.h"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "collector/base/unique_fd.h"

namespace leakhunt::serve {
namespace {

constexpr size_t kMostBytes = 4096;
constexpr std::string_view kScheme = "Bearer ";

// Every byte of both is looked at, whatever the first difference.
bool Same(std::string_view given, std::string_view token) {
  volatile unsigned char difference = given.size() == token.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const unsigned char expected = static_cast<unsigned char>(token[i % token.size()]);
    difference = static_cast<unsigned char>(difference | (static_cast<unsigned char>(given[i]) ^ expected));
  }
  return difference == 0;
}

}  // namespace

Result<std::string> ReadTokenFile(const std::filesystem::path& file) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.Valid()) return ErrnoError("cannot read the token file " + file.native(), errno);
  std::string text(kMostBytes + 1, '\0');
  const ssize_t got = read(fd.Get(), text.data(), text.size());
  if (got < 0) return ErrnoError("cannot read the token file " + file.native(), errno);
  text.resize(static_cast<size_t>(got));
  if (text.size() > kMostBytes) return Error{"the token file " + file.native() + " holds more than 4096 bytes"};
  constexpr const char* kSpaces = " \t\r\n";
  text.erase(0, std::min(text.size(), text.find_first_not_of(kSpaces)));
  text.erase(text.find_last_not_of(kSpaces) + 1);
  if (text.empty()) return Error{"the token file " + file.native() + " is empty"};
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c >= 0x7F; })) {
    return Error{"the token file " + file.native() + " must hold one word of printable ASCII"};
  }
  return text;
}

bool BearsToken(std::string_view authorization, std::string_view token) {
  if (token.empty() || authorization.size() < kScheme.size()) return false;
  if (strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) != 0) return false;
  return Same(authorization.substr(kScheme.size()), token);
}

}  // namespace leakhunt::serve
