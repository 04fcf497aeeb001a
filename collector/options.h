// The command line and environment of leakhunt-collect.
//
// Parsing only: no file is touched and nothing is started here. Heavy headers stay in options.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/notice.h"
#include "preload/protocol/layout.h"

namespace leakhunt {

// How long `-- COMMAND` stays: until the command has ended, or until every recorded process has that descends from it.
enum class Wait : uint8_t { kCommand, kAll };

struct Options {
  std::filesystem::path output = "leakhunt-data";
  std::optional<int64_t> interval_ms;     // unset: the program's own wish, else kDefaultIntervalMs
  std::optional<uint32_t> budget_ppm;     // unset: kDefaultBudgetPpm
  std::optional<uint64_t> sample_bytes;   // fixed mean interval
  std::optional<uint32_t> track;          // protocol::TrackMask; unset: all
  std::optional<bool> follow_children;    // unset: follow
  std::string socket;                     // empty: the default address
  int64_t duration_ms = 0;                // 0: no end
  std::vector<uint64_t> snapshot_at_rss;  // ascending bytes
  uint64_t max_disk_bytes = uint64_t{1} << 30;         // of one recording
  uint64_t max_disk_total_bytes = uint64_t{10} << 30;  // of all recordings in one directory; 0 = no ceiling
  std::string on_alert;  // shell command; empty = none
  std::string http;      // ADDRESS:PORT or unix:PATH; empty = off
  std::vector<std::string> http_hosts;  // further names that a request's Host may have
  std::string http_token_file;          // empty = none
  std::optional<Verbosity> verbosity;  // unset: normal, of an entry point (or_bare) warnings
  bool output_given = false;  // by option or by LEAKHUNT_OUTPUT
  bool http_may_fail = false;  // --http stood in LEAKHUNT_OPTIONS: a bad one is said and done without

  Wait wait = Wait::kCommand;
  bool or_bare = false;  // whatever leakhunt cannot do, the command runs

  pid_t attach_pid = 0;              // --pid
  int client_fd = -1;                // inherited connection of the guest that spawned this collector
  int64_t linger_ms = 5000;          // a spawned collector leaves this long after its last client
  std::vector<std::string> command;  // after "--"
};

inline constexpr int64_t kDefaultIntervalMs = 60'000;
inline constexpr uint32_t kDefaultBudgetPpm = 10'000;

// What the command line asks for: to run with options, or to leave at once (help and version were printed).
struct Invocation {
  bool run = false;
  Options options;
};

// Errors carry the exit code: 125 when a command was given, else 2. A bad variable, also a bad option in LEAKHUNT_OPTIONS, is a
// line and the default; its command is not given it.
Result<Invocation> ParseInvocation(int argc, char** argv);

// The command, when --or-bare asks for it to be run whatever else was asked wrongly; empty otherwise.
std::vector<std::string> CommandToRunBare(int argc, char** argv);

}  // namespace leakhunt
