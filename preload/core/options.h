// The guest's settings: the environment of the program, then what the collector's Welcome says.
#pragma once

#include <cstdint>

namespace leakhunt::core {

// kRun: as kConnect, in a program that `leakhunt-collect -- COMMAND` started. Such a program may outlive the collector, so
// nothing is said when that is gone.
enum class CollectorMode : uint8_t { kAuto, kConnect, kSpawn, kOff, kRun };

struct Options {
  uint32_t track = 15;         // LEAKHUNT_TRACK, protocol::TrackMask; first: hooks of descriptors look at it
  char socket[108] = {};       // LEAKHUNT_SOCKET; empty = the usual places
  char output[256] = {};       // LEAKHUNT_OUTPUT
  uint64_t sample_bytes = 0;   // LEAKHUNT_SAMPLE_BYTES; 0 = by budget
  uint32_t budget_ppm = 10'000;  // LEAKHUNT_BUDGET
  bool follow_children = true; // LEAKHUNT_CHILDREN
  uint32_t interval_ms = 0;    // LEAKHUNT_INTERVAL; 0 = the collector's own
  uint64_t seed = 0;           // LEAKHUNT_SEED
  bool seeded = false;
  bool sampling_from_environment = false;
  CollectorMode collector = CollectorMode::kAuto;  // LEAKHUNT_COLLECTOR
};

// Reads `environment` (NULL-terminated, as environ). A bad value: one line, and the default.
void ReadEnvironment(const char* const* environment, Options* options);

}  // namespace leakhunt::core
