// store_recording: takes the site histories out of a recording of a real program, labelled by what is known of it.
//
//   store_recording DIRECTORY NAME [--leak-blocks LOW:HIGH] [--leak-open LOW:HIGH]
//                   [--leak-size LOW:HIGH] [--sites N] [--generated-code yes] > tests/data/verdicts/NAME.txt
//
// The sites that end with so many live blocks (or open handles), or whose live blocks have such a mean size, are the seeded leak: the driver of the recording knows
// how many it made. All others among the N largest and the N fastest are labelled not a leak.
// With --generated-code a site that nobody allocated at before the second half of the run, or any more in its last quarter, is
// labelled insufficient: a compiler has moved the call site to other code meanwhile, and half a run of a garbage-collected
// program may be one cycle.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "collector/snapshot/recording.h"
#include "collector/verdict/history.h"
#include "tests/bench/verdicts/stored.h"

namespace {

using namespace leakhunt;

struct Range {
  double low = 1, high = 0;
  bool Has(double value) const { return value >= low && value <= high; }
};

Range ParseRange(const char* text) {
  Range range;
  if (std::sscanf(text, "%lf:%lf", &range.low, &range.high) != 2) range = {};
  return range;
}

double Size(const verdict::History& h) { return h.points.empty() ? 0 : h.points.back().live; }
double Growth(const verdict::History& h) {
  return h.points.empty() ? 0 : h.points.back().live - h.points[h.points.size() / 3].live;
}

void Thin(verdict::History& history) {
  constexpr size_t kPoints = 40;
  if (history.points.size() <= kPoints) return;
  std::vector<verdict::HistoryPoint> kept;
  for (size_t i = 0; i < kPoints; ++i) kept.push_back(history.points[i * (history.points.size() - 1) / (kPoints - 1)]);
  history.points = std::move(kept);
}

bool MovedOn(const verdict::History& history) {
  const auto& points = history.points;
  if (points.size() < 8) return true;
  const double born = points.back().born_count;
  return points[points.size() / 2].born_count < 0.05 * born || points[points.size() * 3 / 4].born_count > 0.99 * born;
}

std::vector<size_t> Chosen(const std::vector<verdict::History>& sites, size_t most) {
  std::vector<size_t> order(sites.size()), chosen;
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (auto figure : {Size, Growth}) {
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return figure(sites[a]) > figure(sites[b]); });
    for (size_t i = 0; i < std::min(most, order.size()); ++i) {
      if (std::find(chosen.begin(), chosen.end(), order[i]) == chosen.end()) chosen.push_back(order[i]);
    }
  }
  return chosen;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: store_recording DIRECTORY NAME [--leak-blocks LOW:HIGH] [--leak-open LOW:HIGH] "
                                  "[--leak-size LOW:HIGH] [--sites N] [--generated-code yes]\n"), 2;
  Range blocks, open, sizes;
  size_t most = 8;
  bool generated = false;
  for (int i = 3; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--leak-blocks")) blocks = ParseRange(argv[i + 1]);
    if (!std::strcmp(argv[i], "--leak-open")) open = ParseRange(argv[i + 1]);
    if (!std::strcmp(argv[i], "--leak-size")) sizes = ParseRange(argv[i + 1]);
    if (!std::strcmp(argv[i], "--generated-code")) generated = true;
    if (!std::strcmp(argv[i], "--sites")) most = static_cast<size_t>(std::atoi(argv[i + 1]));
  }
  auto recordings = snapshot::FindRecordings(argv[1]);
  if (!recordings || recordings->empty()) return std::fprintf(stderr, "store_recording: no recording in %s\n", argv[1]), 1;
  verdict::HistoryBuilder builder;
  for (const auto& file : recordings->front().files) {
    auto snapshot = snapshot::ReadSnapshot(file);
    if (!snapshot) return std::fprintf(stderr, "store_recording: %s\n", snapshot.error().message.c_str()), 1;
    builder.Add(*snapshot);
  }
  auto all = builder.Build();
  std::cout.precision(12);
  size_t number = 0;
  for (size_t i : Chosen(all.sites, most)) {
    corpus::Labelled labelled;
    labelled.history = all.sites[i];
    const Range& seeded = labelled.history.handles ? open : blocks;
    bool leak = false;
    if (!labelled.history.points.empty()) {
      const verdict::HistoryPoint& last = labelled.history.points.back();
      leak = seeded.Has(last.live_count) || (!labelled.history.handles && sizes.Has(last.live / last.live_count));
    }
    labelled.label = leak ? corpus::Label::kLeak : corpus::Label::kNotLeak;
    if (generated && MovedOn(labelled.history)) labelled.label = corpus::Label::kInsufficient;
    char name[128];
    std::snprintf(name, sizeof name, "%s-%02zu", argv[2], number++);
    labelled.name = name;
    Thin(labelled.history);
    corpus::Store(labelled, std::cout);
  }
  return 0;
}
