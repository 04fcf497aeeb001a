// leakhunt-report live: the other commands' text on the whole terminal, drawn again when the recording goes on.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <ostream>
#include <sstream>

#include "viewer/command.h"
#include "viewer/render/screen.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

constexpr int kLookMs = 1'000;

struct View {
  const Command& command;
  bool ranked;  // takes --sort
};
const std::array<View, 5> kViews = {{{kTopSitesCommand, true},
                                     {kHandlesCommand, true},
                                     {kFindingsCommand, false},
                                     {kVitalsCommand, false},
                                     {kProcessesCommand, false}}};
constexpr std::array<Sort, 5> kSorts = {Sort::kGrowth, Sort::kLiveBytes, Sort::kLiveCount, Sort::kTotalBytes, Sort::kAge};
constexpr std::array<const char*, 5> kSortNames = {"growth", "live bytes", "live count", "total bytes", "age"};

// The youngest change of any recording: a snapshot's rename changes its directory.
fs::file_time_type LastChange(const std::vector<std::string>& paths) {
  fs::file_time_type last = fs::file_time_type::min();
  std::error_code error;
  auto look = [&](const fs::path& path) {
    const fs::file_time_type time = fs::last_write_time(path, error);
    if (!error) last = std::max(last, time);
  };
  for (const std::string& path : paths) {
    look(path);
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->is_directory(error)) look(entry->path());
    }
  }
  return last;
}

class LiveView {
 public:
  explicit LiveView(Context& context)
      : context_(context), paths_(context.options.paths.empty() ? std::vector<std::string>{"leakhunt-data"} : context.options.paths) {
    const auto asked = std::find(kSorts.begin(), kSorts.end(), context.options.sort);
    if (context.options.sort != Sort::kLiveBytes) sort_ = static_cast<size_t>(asked - kSorts.begin());
  }

  // The text of the chosen view, or the reason why there is none (which may pass: a recording may yet begin).
  std::vector<std::string> Render(int columns) const {
    const View& view = kViews[view_];
    Options options = context_.options;
    options.format = "text";
    options.sort = kSorts[sort_];
    Terminal terminal = context_.terminal;
    terminal.width = std::clamp(columns, 40, 400);
    std::ostringstream text, notes;
    Context inner{options, text, notes, terminal, context_.screen};
    Result<int> status = view.command.run(inner);
    std::istringstream lines(status ? text.str() : "waiting: " + Printable(status.error().message) + "\n");
    std::vector<std::string> rendered;
    for (std::string line; std::getline(lines, line);) rendered.push_back(std::move(line));
    return rendered;
  }

  int Follow() {
    Screen screen(context_.screen, STDOUT_FILENO, STDIN_FILENO);
    for (;;) {
      const Screen::Size size = screen.GetSize();
      const fs::file_time_type change = LastChange(paths_);
      if (change != seen_ || size.columns != columns_ || stale_) {
        body_ = Render(size.columns);
        seen_ = change;
        columns_ = size.columns;
        stale_ = false;
      }
      const int rows = std::max(1, size.rows - 2);
      first_ = std::clamp(first_, 0, std::max(0, static_cast<int>(body_.size()) - rows));
      screen.Draw(Frame(rows, size.columns));
      const Typed typed = screen.Wait(kLookMs);
      if (typed.key == Key::kQuit) return 0;
      Obey(typed, rows);
    }
  }

 private:
  std::vector<std::string> Frame(int rows, int columns) const {
    std::string tabs;
    for (size_t i = 0; i < kViews.size(); ++i) {
      const std::string name = fmt::format(" {} {} ", i + 1, kViews[i].command.name);
      tabs += i == view_ ? "\x1b[7m" + name + "\x1b[0m" : name;
    }
    std::vector<std::string> frame = {tabs};
    for (int i = first_; i < first_ + rows && i < static_cast<int>(body_.size()); ++i) {
      frame.push_back(body_[static_cast<size_t>(i)]);
    }
    frame.resize(static_cast<size_t>(rows) + 1);
    std::string help = "1-5 view  up/down scroll  q quit";
    if (kViews[view_].ranked) help += fmt::format("  s sort ({})", kSortNames[sort_]);
    frame.push_back("\x1b[2m" + Shorten(help, static_cast<size_t>(columns)));
    return frame;
  }

  void Obey(const Typed& typed, int rows) {
    switch (typed.key) {
      case Key::kUp: --first_; break;
      case Key::kDown: ++first_; break;
      case Key::kPageUp: first_ -= rows; break;
      case Key::kPageDown: first_ += rows; break;
      case Key::kHome: first_ = 0; break;
      case Key::kTab: Show((view_ + 1) % kViews.size()); break;
      case Key::kOther:
        if (typed.letter >= '1' && typed.letter < '1' + static_cast<char>(kViews.size())) {
          Show(static_cast<size_t>(typed.letter - '1'));
        } else if (typed.letter == 's' && kViews[view_].ranked) {
          sort_ = (sort_ + 1) % kSorts.size();
          Show(view_);
        }
        break;
      case Key::kNone:
      case Key::kQuit: break;
    }
  }

  void Show(size_t view) {
    view_ = view;
    first_ = 0;
    stale_ = true;
  }

  Context& context_;
  const std::vector<std::string> paths_;
  size_t view_ = 0, sort_ = 0;
  int first_ = 0, columns_ = 0;  // the first line shown of body_
  bool stale_ = true;
  fs::file_time_type seen_{};
  std::vector<std::string> body_;
};

Result<int> Run(Context& context) {
  LiveView view(context);
  if (context.terminal.shown) return view.Follow();
  for (const std::string& line : view.Render(context.terminal.width)) context.out << line << "\n";  // one frame for a pipe
  return 0;
}

}  // namespace

const Command kLiveCommand = {"live", "a terminal view that follows the recording", "[PATH…]", 100, "text",
                              kPick | kRank | kFilter | kSymbols | kStacks, Run};

}  // namespace leakhunt::viewer
