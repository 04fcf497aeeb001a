// Numbers as people read them, for the evidence clauses and the alert line.
#pragma once

#include <cstdint>
#include <string>

namespace leakhunt::verdict {

std::string Bytes(double bytes);          // "2.0 MiB"
std::string Count(double count);          // "4,210"
std::string Duration(double ms);          // "16 min", "2.5 h", "3 days"
std::string Percent(double fraction);     // "99.9 %"
std::string Amount(double value, bool handles);     // bytes, or a count of handles
std::string PerTime(double per_s, bool handles);    // "2.0 MiB/min", "3.1 handles/h": the unit that gives a number >= 1
// "00:46:32 UTC".
std::string ClockTime(int64_t unix_ms);
std::string Probability(double p);        // "p = 0.003", "p < 1e-12"

}  // namespace leakhunt::verdict
