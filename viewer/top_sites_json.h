// JSON of top-sites, and of one site for the commands that extend it.
#pragma once

#include <string>
#include <vector>

#include "viewer/site_rows.h"

namespace leakhunt::viewer {

// "leakhunt/top-sites/1". `rows` as they are shown.
std::string TopSitesJson(Loaded& loaded, const std::vector<SiteRow>& rows);

}  // namespace leakhunt::viewer
