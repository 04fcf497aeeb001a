// The collector's watch of one process over the whole recording.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "viewer/command.h"
#include "viewer/selection.h"

namespace leakhunt::viewer {

struct VitalsSeries {
  ChosenSnapshot chosen;
  std::vector<snapshot::VitalsPoint> points;  // time order, without doubles
};

// Reads up to 1,000 snapshots of the recording; of more, evenly spread ones.
Result<VitalsSeries> ReadVitals(Context& context);

// At most `most` points, the first and the last among them; 0 = all.
std::vector<snapshot::VitalsPoint> ThinPoints(std::vector<snapshot::VitalsPoint> points, size_t most);

// When growth like that of the last half of the points meets a limit.
struct Exhaustion {
  std::string what;         // "memory of the cgroup", "descriptors", …
  double used = 0, limit = 0;
  double growth_per_s = 0;
  double seconds = 0;
};

// For each limit that is known and approached; soonest first.
std::vector<Exhaustion> FindExhaustion(const VitalsSeries& series);

// One figure of a point, for tables and charts.
struct VitalsFigure {
  const char* name;   // in a table
  const char* field;  // in CSV, as in JSON
  uint64_t snapshot::VitalsPoint::* member;
  bool is_bytes;
  bool is_part;       // known where snapshot::HasParts only
};
const std::vector<VitalsFigure>& VitalsFigures();

bool Known(const snapshot::VitalsPoint& point, const VitalsFigure& figure);

}  // namespace leakhunt::viewer
