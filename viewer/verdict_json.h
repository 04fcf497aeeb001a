// The JSON of trend and findings.
#pragma once

#include <string>
#include <vector>

#include "viewer/categories.h"
#include "viewer/findings.h"
#include "viewer/judged.h"
#include "viewer/render/json_parts.h"

namespace leakhunt::viewer {

// `sites`: indices into judged.sites in the order to write, memory and handles mixed. `findings`: nullptr for trend.
Json VerdictJson(Loaded& loaded, const Judged& judged, const std::vector<size_t>& sites,
                 const std::vector<CategoryGrowth>& categories, const std::vector<Finding>* findings);

}  // namespace leakhunt::viewer
