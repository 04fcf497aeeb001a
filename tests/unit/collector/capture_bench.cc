// How long a capture takes and how much memory it needs. Not a test: run by hand.
//   lh_capture_bench RECORDS STACKS alive|dead
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "collector/ledger/ledger.h"
#include "page_builder.h"

namespace {

using leakhunt::testing::PageBuilder;

leakhunt::UniqueFd Build(uint64_t records, uint32_t stacks) {
  PageBuilder pages;
  std::vector<uint32_t> references;
  pages.AddModule(0x40'0000, 0x80'0000, 0x40'0000, "\x01\x02", "/bin/subject");
  for (uint32_t i = 0; i < stacks; ++i) {
    std::vector<uint64_t> frames;
    // Some 20,000 call sites in all, as in a big program; paths join towards the outermost frame.
    for (uint64_t depth = 0; depth < 30; ++depth) {
      const uint64_t site = ((i >> (depth / 2)) * 40'503 + depth * 977) % 20'000;
      frames.push_back(0x40'0000 + site * 128);
    }
    references.push_back(pages.AddStack(frames));
    pages.AddTally({.stack = references.back(), .samples = 100, .born_bytes = 6400, .born_count = 100});
  }
  for (uint64_t i = 0; i < records; ++i) {
    pages.AddRecord({.size = 16 + i % 512,
                     .stack = references[(i * 2'654'435'761) % stacks],
                     .tick = static_cast<uint32_t>(i * 360'000 / records),
                     .thread = static_cast<uint32_t>(i % 16)});
  }
  return pages.Seal();
}

struct CountedRows final : leakhunt::snapshot::Rows {
  size_t sites = 0;
  void Add(const leakhunt::snapshot::Stack&) override {}
  void Add(const leakhunt::snapshot::Site&) override { ++sites; }
};

double CpuMs() {
  struct timespec now {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// The peak from here on is the capture's and the memfd's, not that of building it.
void ResetPeak() {
  std::FILE* file = std::fopen("/proc/self/clear_refs", "w");
  if (file == nullptr) return;
  std::fputs("5", file);
  std::fclose(file);
}

long PeakKilobytes() {
  char line[128];
  long peak = 0;
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) std::sscanf(line, "VmHWM: %ld", &peak);
  std::fclose(file);
  return peak;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const uint32_t stacks = argc > 2 ? static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)) : 10'000;
  const bool alive = argc <= 3 || std::strcmp(argv[3], "alive") == 0;
  auto ledger = leakhunt::ledger::ProcessLedger::Open(Build(records, stacks));
  if (!ledger) return 1;
  leakhunt::ledger::CaptureOptions options;
  options.process_alive = alive;
  options.now_ms = leakhunt::testing::kStartedMs + 3'600'000;
  ResetPeak();
  double best_ms = 1e9;
  size_t sites = 0;
  for (int i = 0; i < 5; ++i) {
    leakhunt::snapshot::Snapshot out;
    const double begin_ms = CpuMs();
    CountedRows rows;
    if (!(*ledger)->Capture(options, &rows, &out)) return 1;
    best_ms = std::min(best_ms, CpuMs() - begin_ms);
    sites = rows.sites;
  }
  std::printf("%llu records, %u stacks, %s: %.1f ms of CPU, %zu sites, peak memory %ld KiB\n",
              static_cast<unsigned long long>(records), stacks, alive ? "alive" : "dead", best_ms, sites,
              PeakKilobytes());
  return 0;
}
