// Figures as people read them. All texts are ASCII but "±", "…" and the sparkline's blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/snapshot/estimate.h"

namespace leakhunt::viewer {

std::string Bytes(double bytes);                   // "0 B", "512 B", "1.50 KiB", "12.3 MiB", "-2.00 GiB"
std::string Count(double count);                   // "7", "9,999" below ten thousand, then "12.3 k", "4.56 M"
std::string Counted(double count, const char* noun);  // "1 block", "2 blocks", "12.3 k blocks"; the noun in the singular
std::string Rate(double bytes_per_s);              // "+1.50 KiB/s", "0 B/s"; per minute, hour or day when slow
std::string CountRate(double per_s);               // "+3.0/s", "+1.2/min", "0"
std::string WithSign(double value, std::string text);  // "+" in front when the value is positive
std::string Age(int64_t ms);                       // "40 ms", "12 s", "3 min", "2 h 5 min", "4 d 3 h"
std::string Margin(const snapshot::Estimate& e);   // half of the 95 % interval as bytes, "" when there is none
std::string CountMargin(const snapshot::Estimate& e);
std::string Clock(int64_t unix_ms);                // "2023-11-14 22:13:20" UTC; "-" for 0
std::string Sparkline(const std::vector<double>& values, size_t width);  // "" for fewer than two values

// Columns a UTF-8 text takes on screen.
size_t Width(const std::string& text);
// Cut at the end with "…" to at most `columns`.
std::string Shorten(const std::string& text, size_t columns);
// The same, but what is cut is before the last word, so that "function file.cc:12" keeps file and line.
std::string ShortenBeforeLastWord(const std::string& text, size_t columns);
std::string PadLeft(const std::string& text, size_t columns);
std::string PadRight(const std::string& text, size_t columns);
// Text that another program chose, as a terminal may be shown it; see clean_text.h.
std::string Printable(const std::string& text);

}  // namespace leakhunt::viewer
