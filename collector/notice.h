// What the collector says to people: one line on stderr, and only when something is wrong or was asked for.
//
// Standard output belongs to the command and is never written. One thread; a line that cannot be written is dropped.
#pragma once

#include <string>

namespace leakhunt {

enum class Verbosity { kQuiet, kWarnings, kNormal, kVerbose };

void SetVerbosity(Verbosity verbosity);
Verbosity GetVerbosity();

// "leakhunt-collect: LINE", unless quiet.
void Notice(const std::string& line);

// The same, from kWarnings on: what keeps something from being recorded, or a setting from being followed.
void Warn(const std::string& line);
void WarnOnce(const std::string& topic, const std::string& line);  // as NoticeOnce

// With --verbose only.
void Detail(const std::string& line);

// A line that is said again only after the same `topic` was cleared: a full disk is one line, not one a snapshot.
void NoticeOnce(const std::string& topic, const std::string& line);
void ClearNotice(const std::string& topic);

}  // namespace leakhunt
