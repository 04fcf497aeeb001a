// JSON of vitals.
#pragma once

#include <string>

#include "viewer/vitals_series.h"

namespace leakhunt::viewer {

// "leakhunt/vitals/1".
std::string VitalsJson(const VitalsSeries& series);

}  // namespace leakhunt::viewer
