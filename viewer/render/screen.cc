#include "viewer/render/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <string_view>

namespace leakhunt::viewer {
namespace {

constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";  // alternate screen, no cursor
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";

volatile std::sig_atomic_t g_ended = 0;

void OnEnd(int) { g_ended = 1; }
void OnResize(int) {}  // its only effect is that poll returns

void Catch(int signal, void (*handler)(int), struct sigaction* old) {
  struct sigaction action {};
  action.sa_handler = handler;  // no SA_RESTART: a wait is to end
  ::sigaction(signal, &action, old);
}

}  // namespace

Screen::Screen(std::ostream& out, int out_fd, int in_fd) : out_(out), out_fd_(out_fd), in_fd_(in_fd) {
  g_ended = 0;
  Catch(SIGINT, OnEnd, &old_interrupt_);
  Catch(SIGTERM, OnEnd, &old_terminate_);
  Catch(SIGWINCH, OnResize, &old_resize_);
  if (::isatty(in_fd_) == 1 && ::tcgetattr(in_fd_, &before_) == 0) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // ISIG stays: ^C is a signal, as everywhere
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw_ = ::tcsetattr(in_fd_, TCSANOW, &raw) == 0;
  }
  out_ << kEnter << std::flush;
}

Screen::~Screen() {
  out_ << kLeave << std::flush;
  if (raw_) ::tcsetattr(in_fd_, TCSANOW, &before_);
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  ::sigaction(SIGWINCH, &old_resize_, nullptr);
}

Screen::Size Screen::GetSize() const {
  winsize size{};
  if (::ioctl(out_fd_, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {24, 80};
  return {size.ws_row, size.ws_col};
}

void Screen::Draw(const std::vector<std::string>& lines) {
  const size_t rows = static_cast<size_t>(GetSize().rows);
  std::string frame = "\x1b[H";  // from the top, over what stands there: no flicker
  for (size_t i = 0; i < lines.size() && i < rows; ++i) {
    frame += lines[i];
    frame += "\x1b[0m\x1b[K";
    if (i + 1 < rows) frame += "\r\n";
  }
  frame += "\x1b[J";
  out_ << frame << std::flush;
}

Typed Screen::Wait(int timeout_ms) {
  if (g_ended != 0) return {Key::kQuit};
  pollfd input{in_fd_, POLLIN, 0};
  const int ready = ::poll(&input, raw_ ? 1 : 0, timeout_ms);
  if (g_ended != 0) return {Key::kQuit};
  if (ready <= 0) return {};
  return Read();
}

// Cursor keys come as an escape sequence, in one piece.
Typed Screen::Read() {
  char bytes[16];
  const ssize_t got = ::read(in_fd_, bytes, sizeof bytes);
  if (got <= 0) return {got == 0 ? Key::kQuit : Key::kNone};  // the terminal is gone
  const std::string_view typed(bytes, static_cast<size_t>(got));
  if (typed == "\x1b[A" || typed == "\x1bOA" || typed == "k") return {Key::kUp};
  if (typed == "\x1b[B" || typed == "\x1bOB" || typed == "j") return {Key::kDown};
  if (typed == "\x1b[5~") return {Key::kPageUp};
  if (typed == "\x1b[6~" || typed == " ") return {Key::kPageDown};
  if (typed == "\x1b[H" || typed == "\x1b[1~" || typed == "g") return {Key::kHome};
  if (typed == "\t") return {Key::kTab};
  if (typed == "q" || typed == "\x1b" || typed == "\x04") return {Key::kQuit};
  return {Key::kOther, typed[0]};
}

}  // namespace leakhunt::viewer
