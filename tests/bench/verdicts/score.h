// Counts of verdicts against labels, and what they say: precision, recall, the confusion matrix.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/bench/verdicts/corpus.h"

namespace leakhunt::corpus {

// "leaking" or "onset": a leak from the start, or one that began later.
bool CalledLeak(const verdict::SiteVerdict& verdict);

// Each history as one site of a process of ordinary sites, as in life; the false-discovery control sees them all.
std::vector<verdict::SiteVerdict> JudgeInCrowd(const std::vector<Labelled>& corpus, int crowd = 36);

class Score {
 public:
  void Add(const Labelled& labelled, const verdict::SiteVerdict& verdict);
  double Precision() const;  // over the histories whose data suffice
  double Recall() const;
  int Histories() const;
  int turned_over_called_leak() const { return turned_over_called_leak_; }
  std::string Table(const std::string& title) const;
  std::string Json() const;

 private:
  int Called(Label label) const;
  std::array<std::array<int, 8>, 3> counts_{};  // [label][verdict]
  int turned_over_called_leak_ = 0;
};

}  // namespace leakhunt::corpus
