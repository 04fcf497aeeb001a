#include "viewer/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace leakhunt::viewer {
namespace {

// Milliseconds of a unit; 0 = no such unit.
double UnitMs(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s" || unit.empty()) return 1000;
  if (unit == "m" || unit == "min") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  return 0;
}

}  // namespace

Result<int64_t> ParseDuration(const std::string& text) {
  double amount = 0;
  auto [stop, defect] = std::from_chars(text.data(), text.data() + text.size(), amount);
  double unit_ms = UnitMs({stop, static_cast<size_t>(text.data() + text.size() - stop)});
  if (defect != std::errc() || unit_ms == 0 || !(amount >= 0) || amount * unit_ms > 1e15) {
    return Error{fmt::format("{} is not a duration (250ms, 30s, 5m, 2h, 1d)", text)};
  }
  return static_cast<int64_t>(amount * unit_ms);
}

size_t RowsShown(const Options& options, size_t rows) {
  constexpr size_t kForPeople = 20;
  bool for_people = options.format == "text" || options.format == "markdown";
  size_t most = options.limit_given ? options.limit : for_people ? kForPeople : 0;
  return most == 0 ? rows : std::min(rows, most);
}

}  // namespace leakhunt::viewer
