// The corpus: labelled site histories from seeded simulations, in two halves. Thresholds may be fitted on the tuning
// half; figures are reported on the held-out half.
#pragma once

#include <string>
#include <vector>

#include "collector/verdict/verdict.h"

namespace leakhunt::corpus {

enum class Label : uint8_t { kLeak, kNotLeak, kInsufficient };
const char* LabelName(Label label);

struct Labelled {
  std::string name;    // "leak-mixed-sampled-07"
  std::string family;  // "leak-mixed"
  Label label = Label::kNotLeak;
  bool turned_over = false;  // a bounded structure whose whole contents were replaced at least once
  verdict::History history;
};

// Half by a hash of the name: a new scenario lands where chance puts it.
bool HeldOut(const std::string& name);

// All of it, in a fixed order. `scale`: variants a scenario (the reported corpus has 8).
std::vector<Labelled> BuildCorpus(int variants = 8);

// The histories recorded from real programs, from tests/data/verdicts/*.txt in the order of their names. Throws
// std::runtime_error when a file cannot be read: they are part of the tree.
std::vector<Labelled> ReadRecorded(const std::string& directory);

// Ordinary sites of a process beside the one under test: false-discovery control needs a crowd.
std::vector<verdict::History> BuildCrowd(int sites);

}  // namespace leakhunt::corpus
