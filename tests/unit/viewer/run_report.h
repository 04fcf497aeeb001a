// The report program on recordings made by the test, its output as strings.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "collector/snapshot/model.h"
#include "tests/unit/snapshot/temporary_directory.h"
#include "viewer/render/terminal.h"

namespace leakhunt::testing {

struct Outcome {
  int status = -1;
  std::string out, err;
};

Outcome Report(const std::vector<std::string>& arguments, viewer::Terminal terminal = {});

// Writes snapshots as a recording under DIRECTORY/NAME. Numbers and times are the snapshots' own.
std::filesystem::path Record(const std::filesystem::path& directory, const std::string& name,
                             const std::vector<snapshot::Snapshot>& snapshots);

// Snapshots 1..count of the sample process.
std::filesystem::path RecordSample(const std::filesystem::path& directory, uint32_t count);

bool Contains(const std::string& text, const std::string& part);

}  // namespace leakhunt::testing
