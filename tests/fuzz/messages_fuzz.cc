// Packets of any content to the collector's socket. Seeds: tests/data/fuzz/messages.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/messages_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string defect = leakhunt::ingest::ExerciseMessages(data, size);
  if (defect.empty()) return 0;
  std::fprintf(stderr, "%s\n", defect.c_str());
  std::abort();
}
