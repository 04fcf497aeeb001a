// Which Host headers are answered: a browser's page from elsewhere may have had its name resolved to this host.
#pragma once

#include <string>
#include <vector>

namespace leakhunt::serve {

// Whether `host` (with or without a port) is an address, "localhost", this host's own name, or one of `names`. Letters'
// case does not matter.
bool IsTrustedHost(std::string host, const std::vector<std::string>& names);

}  // namespace leakhunt::serve
