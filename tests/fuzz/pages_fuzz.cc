// libFuzzer over the ledger's reading of shared pages. Corpus: tests/data/fuzz/pages.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/pages_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string defect = leakhunt::testing::ExercisePages(data, size);
  if (defect.empty()) return 0;
  std::fprintf(stderr, "%s\n", defect.c_str());
  std::abort();
}
