// Writes a sample recording: lh_write_sample DIRECTORY COUNT. Used to make the golden file, and by hand.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/sample.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::filesystem::path directory = argv[1];
  std::filesystem::create_directories(directory);
  for (uint32_t number = 1; number <= static_cast<uint32_t>(std::atoi(argv[2])); ++number) {
    char name[32];
    std::snprintf(name, sizeof name, "snapshot-%06u.lhs", number);
    auto written = leakhunt::snapshot::WriteSnapshot(leakhunt::testing::SampleSnapshot(number), directory / name);
    if (!written) {
      std::fprintf(stderr, "%s\n", written.error().message.c_str());
      return 1;
    }
  }
  return 0;
}
