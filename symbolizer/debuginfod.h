// Debug files from debuginfod servers, only when the user asks for them.
#pragma once

#include <string>

namespace leakhunt::symbolizer {

// Path in libdebuginfod's cache of the debug file for `build_id` (lower-case hex); empty when there is no such library,
// no $DEBUGINFOD_URLS, or no such file. May wait for the network as long as $DEBUGINFOD_TIMEOUT allows.
std::string DownloadDebugInfo(const std::string& build_id);

}  // namespace leakhunt::symbolizer
