// A full-screen view on a terminal: the alternate screen, keys as they are typed, and everything put back at the end.
//
// One object at a time, on the main thread. SIGINT and SIGTERM end Wait with kQuit instead of the program, so that the
// terminal is always restored (SIGKILL excepted). ECMA-48 sequences that every terminal of today knows.
#pragma once

#include <termios.h>

#include <csignal>
#include <iosfwd>
#include <string>
#include <vector>

namespace leakhunt::viewer {

enum class Key : uint8_t { kNone, kQuit, kUp, kDown, kPageUp, kPageDown, kHome, kTab, kOther };

struct Typed {
  Key key = Key::kNone;
  char letter = 0;  // with kOther
};

class Screen {
 public:
  // Writes to `out`, which goes to the terminal `out_fd`; keys come from `in_fd` when that is a terminal, too.
  Screen(std::ostream& out, int out_fd, int in_fd);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  struct Size {
    int rows, columns;
  };
  Size GetSize() const;

  // Shows at most as many lines as there are rows. Lines may carry colour sequences; they must fit the width.
  void Draw(const std::vector<std::string>& lines);

  // Waits for a key, a resize or `timeout_ms`.
  Typed Wait(int timeout_ms);

 private:
  Typed Read();

  std::ostream& out_;
  const int out_fd_, in_fd_;
  bool raw_ = false;
  termios before_{};
  struct sigaction old_interrupt_{}, old_terminate_{}, old_resize_{};
};

}  // namespace leakhunt::viewer
