#include "tests/bench/verdicts/corpus.h"

#include <cstdio>

#include "tests/bench/verdicts/scenario.h"

namespace leakhunt::corpus {

namespace {

uint64_t HashOf(const std::string& name) {  // FNV-1a, finished by SplitMix64
  uint64_t hash = 0xCBF29CE484222325ull;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001B3ull;
  return Random(hash).Next();
}

void Add(const Scenario& scenario, int variants, std::vector<Labelled>& corpus) {
  for (int v = 0; v < variants; ++v) {
    char name[96];
    std::snprintf(name, sizeof name, "%s-%02d", scenario.family, v);
    corpus.push_back({name, scenario.family, scenario.label, scenario.turned_over, scenario.run(HashOf(name), v)});
  }
}

}  // namespace

const char* LabelName(Label label) {
  switch (label) {
    case Label::kLeak: return "leak";
    case Label::kNotLeak: return "not a leak";
    case Label::kInsufficient: return "insufficient";
  }
  return "";
}

bool HeldOut(const std::string& name) { return HashOf("half of " + name) & 1; }

std::vector<Labelled> BuildCorpus(int variants) {
  std::vector<Labelled> corpus;
  for (const Scenario& scenario : LeakScenarios()) Add(scenario, variants, corpus);
  for (const Scenario& scenario : BoundedScenarios()) Add(scenario, variants, corpus);
  for (const Scenario& scenario : UnsureScenarios()) Add(scenario, variants, corpus);
  return corpus;
}

std::vector<verdict::History> BuildCrowd(int sites) {
  std::vector<verdict::History> crowd;
  std::vector<Scenario> scenarios = BoundedScenarios();
  for (int i = 0; i < sites; ++i) {
    const Scenario& scenario = scenarios[static_cast<size_t>(i) % scenarios.size()];
    crowd.push_back(scenario.run(HashOf("crowd " + std::to_string(i)), i / static_cast<int>(scenarios.size())));
  }
  return crowd;
}

}  // namespace leakhunt::corpus
