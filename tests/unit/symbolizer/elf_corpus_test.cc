// Every file of the fuzzer's corpus, as it is, cut short and damaged: the symbolizer survives them all.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/fuzz/elf_target.h"

namespace leakhunt::symbolizer {
namespace {

using Bytes = std::vector<uint8_t>;

std::vector<std::filesystem::path> Corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(CORPUS_DIR)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

Bytes Read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

TEST(ElfCorpus, EveryFileIsSurvivedAndSoundOnesAreNamed) {
  size_t named = 0;
  for (const auto& file : Corpus()) {
    const Bytes bytes = Read(file);
    named += SymbolizeBytes(bytes.data(), bytes.size()) > 0;
  }
  EXPECT_GE(named, 6u);
}

TEST(ElfCorpus, FilesCutShort) {
  for (const auto& file : Corpus()) {
    const Bytes bytes = Read(file);
    for (size_t size = 0; size < bytes.size(); size += 211) SymbolizeBytes(bytes.data(), size);
  }
}

TEST(ElfCorpus, DamagedBytes) {
  for (const auto& file : Corpus()) {
    const Bytes bytes = Read(file);
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
      Bytes damaged = bytes;
      const int changes = 1 + static_cast<int>(random() % 8);
      for (int i = 0; i < changes; ++i) damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
      SymbolizeBytes(damaged.data(), damaged.size());
    }
  }
}

}  // namespace
}  // namespace leakhunt::symbolizer
