#include "collector/verdict/phrase.h"

#include <fmt/format.h>

#include <cmath>

namespace leakhunt::verdict {

std::string Bytes(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = std::abs(bytes);
  size_t unit = 0;
  while (size >= 1023.5 && unit + 1 < std::size(units)) size /= 1024, ++unit;
  const char* sign = bytes < 0 ? "-" : "";
  if (unit == 0 || size >= 99.95) return fmt::format("{}{:.0f} {}", sign, size, units[unit]);
  return fmt::format("{}{:.1f} {}", sign, size, units[unit]);
}

std::string Count(double count) {
  std::string digits = fmt::format("{:.0f}", std::abs(count)), grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return (count <= -0.5 ? "-" : "") + grouped;
}

std::string Duration(double ms) {
  double s = ms / 1000;
  if (s < 10) return fmt::format("{:.1f} s", s);
  if (s < 120) return fmt::format("{:.0f} s", s);
  if (s < 120 * 60) return fmt::format("{:.0f} min", s / 60);
  if (s < 10 * 3600) return fmt::format("{:.1f} h", s / 3600);
  if (s < 72 * 3600) return fmt::format("{:.0f} h", s / 3600);
  return fmt::format("{:.0f} days", s / 86400);
}

std::string Percent(double fraction) {
  double percent = fraction * 100;
  bool fine = percent != 0 && percent != 100 && (percent < 1 || percent > 99);
  return fine ? fmt::format("{:.1f} %", percent) : fmt::format("{:.0f} %", percent);
}

std::string Amount(double value, bool handles) { return handles ? Count(value) + " handles" : Bytes(value); }

std::string PerTime(double per_s, bool handles) {
  struct Unit {
    double seconds;
    const char* name;
  };
  const Unit units[] = {{1, "s"}, {60, "min"}, {3600, "h"}, {86400, "day"}};
  double enough = handles ? 1 : 1024;
  const Unit* unit = &units[1];  // a minute, unless that is too small a number
  for (; unit + 1 < std::end(units) && std::abs(per_s) * unit->seconds < enough; ++unit) {
  }
  double value = per_s * unit->seconds;
  if (!handles) return Bytes(value) + "/" + unit->name;
  return fmt::format("{:.{}f} handles/{}", value, std::abs(value) < 10 ? 1 : 0, unit->name);
}

std::string ClockTime(int64_t unix_ms) {
  int64_t s = (unix_ms / 1000 % 86400 + 86400) % 86400;
  return fmt::format("{:02}:{:02}:{:02} UTC", s / 3600, s / 60 % 60, s % 60);
}

std::string Probability(double p) { return p < 1e-12 ? "p < 1e-12" : fmt::format("p = {:.2g}", p); }

}  // namespace leakhunt::verdict
