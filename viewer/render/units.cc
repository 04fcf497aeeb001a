#include "viewer/render/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "collector/base/clean_text.h"

namespace leakhunt::viewer {
namespace {

// Three significant digits: 1.50, 12.3, 512.
std::string ThreeDigits(double v) {
  double size = std::abs(v);
  return fmt::format("{:.{}f}", v, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

std::string WithSeparators(double v) {
  std::string digits = fmt::format("{:.0f}", std::abs(v));
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return (v < 0 && digits != "0" ? "-" : "") + digits;
}

}  // namespace

std::string Bytes(double bytes) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (std::abs(bytes) < 1023.5) return fmt::format("{:.0f} B", bytes == 0 ? 0.0 : bytes);
  int unit = -1;
  while (std::abs(bytes) >= 1023.5 && unit < 5) {
    bytes /= 1024;
    ++unit;
  }
  return ThreeDigits(bytes) + " " + kUnits[unit];
}

std::string Count(double count) {
  if (std::abs(count) < 9999.5) return WithSeparators(count);
  static constexpr const char* kUnits[] = {"k", "M", "G", "T"};
  int unit = -1;
  while (std::abs(count) >= 999.5 && unit < 3) {
    count /= 1000;
    ++unit;
  }
  return ThreeDigits(count) + " " + kUnits[unit];
}

std::string Counted(double count, const char* noun) {
  const std::string text = Count(count);
  return text + " " + noun + (text == "1" ? "" : "s");
}

std::string Rate(double bytes_per_s) {
  double size = std::abs(bytes_per_s);
  const char* sign = bytes_per_s > 0 ? "+" : "";
  if (size >= 1) return fmt::format("{}{}/s", sign, Bytes(bytes_per_s));
  if (size * 3600 >= 1) return fmt::format("{}{}/h", sign, Bytes(bytes_per_s * 3600));
  if (size * 86400 >= 1) return fmt::format("{}{}/d", sign, Bytes(bytes_per_s * 86400));
  return "0 B/s";
}

std::string CountRate(double per_s) {
  double size = std::abs(per_s);
  const char* sign = per_s > 0 ? "+" : "";
  if (size >= 1) return fmt::format("{}{:.1f}/s", sign, per_s);
  if (size * 60 >= 1) return fmt::format("{}{:.1f}/min", sign, per_s * 60);
  if (size * 3600 >= 0.05) return fmt::format("{}{:.1f}/h", sign, per_s * 3600);
  return "0";
}

std::string WithSign(double value, std::string text) {
  if (value > 0) text.insert(text.begin(), '+');
  return text;
}

std::string Age(int64_t ms) {
  if (ms < 0) ms = 0;
  int64_t s = ms / 1000;
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min", s / 60);
  if (s < 172'800) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string Margin(const snapshot::Estimate& e) {
  double half = (e.high - e.low) / 2;
  return half <= 0 ? "" : Bytes(half);
}

std::string CountMargin(const snapshot::Estimate& e) {
  double half = (e.high - e.low) / 2;
  return half <= 0 ? "" : Count(half);
}

std::string Clock(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "-";
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string Sparkline(const std::vector<double>& values, size_t width) {
  static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.size() < 2 || width < 2) return "";
  auto [low, high] = std::minmax_element(values.begin(), values.end());
  double span = *high - *low;
  std::string line;
  size_t columns = std::min(width, values.size());
  for (size_t i = 0; i < columns; ++i) {
    double v = values[i * (values.size() - 1) / (columns - 1)];
    line += kBlocks[span > 0 ? std::min(7, static_cast<int>((v - *low) / span * 8)) : 0];
  }
  return line;
}

size_t Width(const std::string& text) { return DisplayWidth(text); }

std::string Shorten(const std::string& text, size_t columns) {
  if (Width(text) <= columns) return text;
  if (columns == 0) return "";
  return std::string(CutToWidth(text, columns - 1)) + "…";
}

std::string ShortenBeforeLastWord(const std::string& text, size_t columns) {
  constexpr size_t kLeastFirst = 8;
  size_t space = text.rfind(' ');
  if (Width(text) <= columns || space == std::string::npos) return Shorten(text, columns);
  std::string last = text.substr(space);
  if (Width(last) + kLeastFirst > columns) return Shorten(text, columns);
  return Shorten(text.substr(0, space), columns - Width(last)) + last;
}

std::string PadLeft(const std::string& text, size_t columns) {
  size_t width = Width(text);
  return width >= columns ? text : std::string(columns - width, ' ') + text;
}

std::string PadRight(const std::string& text, size_t columns) {
  size_t width = Width(text);
  return width >= columns ? text : text + std::string(columns - width, ' ');
}

std::string Printable(const std::string& text) { return CleanText(text); }

}  // namespace leakhunt::viewer
