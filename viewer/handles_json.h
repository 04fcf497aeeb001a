// JSON of handles.
#pragma once

#include <string>
#include <vector>

#include "viewer/handle_rows.h"

namespace leakhunt::viewer {

// "leakhunt/handles/1". `rows` as they are shown.
std::string HandlesJson(Loaded& loaded, const std::vector<HandleRow>& rows);

}  // namespace leakhunt::viewer
