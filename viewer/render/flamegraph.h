// One self-contained HTML page with a flame graph: no network, no other file.
#pragma once

#include <iosfwd>
#include <string>

#include "viewer/export/profile.h"

namespace leakhunt::viewer {

// The page draws on a canvas (100,000 frames in tens of milliseconds); the reader picks the value, searches, zooms,
// turns it upside down or shows callers. Frames too narrow ever to be seen are left out of big profiles and said so.
void RenderFlameGraph(const Profile& profile, const std::string& title, std::ostream& out);

}  // namespace leakhunt::viewer
