// The fuzzers' corpora in tests/data/fuzz, for the tests that replay them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace leakhunt::testing {

// Calls visit(bytes) for every file of the corpus, by name; a test failure when there are none.
template <typename Visit>
void ForEachOfCorpus(const std::string& name, Visit visit) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(LEAKHUNT_TEST_DATA) / "fuzz" / name)) {
    files.push_back(entry.path());
  }
  ASSERT_FALSE(files.empty());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().native());
    std::ifstream in(file, std::ios::binary);
    visit(std::vector<uint8_t>(std::istreambuf_iterator<char>(in), {}));
  }
}

// The same with each file cut at every length, and `rounds` times with up to eight bytes changed (always the same ones).
template <typename Visit>
void ForEachDamaged(const std::string& name, int rounds, Visit visit) {
  ForEachOfCorpus(name, [&](const std::vector<uint8_t>& bytes) {
    for (size_t size = 0; size < bytes.size(); ++size) visit(std::vector<uint8_t>(bytes.begin(), bytes.begin() + static_cast<long>(size)));
    std::mt19937 random(7);
    for (int round = 0; round < rounds && !bytes.empty(); ++round) {
      std::vector<uint8_t> damaged = bytes;
      const int changes = 1 + static_cast<int>(random() % 8);
      for (int i = 0; i < changes; ++i) damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
      visit(damaged);
    }
  });
}

}  // namespace leakhunt::testing
