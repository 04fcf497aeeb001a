#include "tests/unit/viewer/run_report.h"

#include <cstdio>
#include <sstream>
#include <stdexcept>

#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/sample.h"
#include "viewer/report_program.h"

namespace leakhunt::testing {

Outcome Report(const std::vector<std::string>& arguments, viewer::Terminal terminal) {
  std::ostringstream out, err;
  int status = viewer::RunReport(arguments, out, err, terminal);
  return {status, out.str(), err.str()};
}

std::filesystem::path Record(const std::filesystem::path& directory, const std::string& name,
                             const std::vector<snapshot::Snapshot>& snapshots) {
  std::filesystem::create_directories(directory / name);
  for (const snapshot::Snapshot& s : snapshots) {
    char file[32];
    std::snprintf(file, sizeof file, "snapshot-%06u.lhs", s.number);
    Status written = snapshot::WriteSnapshot(s, directory / name / file);
    if (!written) throw std::runtime_error(written.error().message);
  }
  return directory / name;
}

std::filesystem::path RecordSample(const std::filesystem::path& directory, uint32_t count) {
  std::vector<snapshot::Snapshot> snapshots;
  for (uint32_t i = 1; i <= count; ++i) snapshots.push_back(SampleSnapshot(i));
  return Record(directory, "server-4242-1", snapshots);
}

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace leakhunt::testing
