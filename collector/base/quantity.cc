#include "collector/base/quantity.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace leakhunt {
namespace {

struct Unit64 {
  const char* name;
  double factor;
};

constexpr Unit64 kDurations[] = {{"ms", 1},     {"s", 1000},   {"", 1000},    {"m", 60e3},
                                 {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
constexpr Unit64 kSizes[] = {{"", 1},
                             {"b", 1},
                             {"k", 1024.0},
                             {"kb", 1024.0},
                             {"kib", 1024.0},
                             {"m", 1 << 20},
                             {"mb", 1 << 20},
                             {"mib", 1 << 20},
                             {"g", 1 << 30},
                             {"gb", 1 << 30},
                             {"gib", 1 << 30},
                             {"t", 1099511627776.0},
                             {"tb", 1099511627776.0},
                             {"tib", 1099511627776.0}};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The value in the base unit, or a negative number when `text` is not a number with one of `units`.
template <size_t N>
double Measure(const std::string& text, const Unit64 (&units)[N]) {
  double number = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return -1;
  std::string unit = Lower(std::string(rest, text.data() + text.size()));
  for (const Unit64& candidate : units) {
    if (unit == candidate.name) return number * candidate.factor;
  }
  return -1;
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

Result<int64_t> ParseDuration(const std::string& text) {
  double ms = Measure(text, kDurations);
  if (ms < 1 || ms > 1e13) return Error{"'" + text + "' is not a duration such as 500ms, 30s, 10m or 2h"};
  return static_cast<int64_t>(ms);
}

Result<uint64_t> ParseSize(const std::string& text) {
  double bytes = Measure(text, kSizes);
  if (bytes < 0 || bytes > 1e18) return Error{"'" + text + "' is not a size such as 4096, 64K, 512M or 2G"};
  return static_cast<uint64_t>(bytes);
}

Result<std::vector<uint64_t>> ParseSizeList(const std::string& text) {
  std::vector<uint64_t> sizes;
  for (const std::string& part : SplitAtCommas(text)) {
    Result<uint64_t> size = ParseSize(part);
    if (!size) return size.error();
    if (*size == 0) return Error{"'" + text + "' has a size of zero"};
    sizes.push_back(*size);
  }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

Result<uint32_t> ParsePercent(const std::string& text) {
  std::string number = text;
  if (!number.empty() && number.back() == '%') number.pop_back();
  constexpr Unit64 kPlain[] = {{"", 10'000}};
  double ppm = Measure(number, kPlain);
  if (ppm < 1 || ppm > 1e6) return Error{"'" + text + "' is not a percentage such as 1% or 0.5%"};
  return static_cast<uint32_t>(ppm);
}

}  // namespace leakhunt
