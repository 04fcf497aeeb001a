#include "viewer/render/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace leakhunt::viewer {
namespace {

int Columns(bool is_terminal) {
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr && std::atoi(columns) > 0) {
    return std::atoi(columns);
  }
  winsize size{};
  if (is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

bool Set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

Terminal DetectTerminal() {
  bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  const char* kind = std::getenv("TERM");
  bool dumb = kind == nullptr || std::string_view(kind) == "dumb";
  return {std::clamp(Columns(is_terminal), 40, 400), is_terminal && !dumb && !Set("NO_COLOR"), is_terminal};
}

}  // namespace leakhunt::viewer
