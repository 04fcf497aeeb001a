// The secret that requests must bear when --http-token-file is given.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "collector/base/result.h"

namespace leakhunt::serve {

// The file's text without white space around it: printable ASCII without spaces, at most 4,096 bytes. The error names
// the file and never its content.
Result<std::string> ReadTokenFile(const std::filesystem::path& file);

// Whether an Authorization header is "Bearer TOKEN". The time taken does not depend on how much of the token is right.
bool BearsToken(std::string_view authorization, std::string_view token);

}  // namespace leakhunt::serve
