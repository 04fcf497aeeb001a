// When each handle site, and each scope of a heap site, was first and last seen, over all captures so far. (The pages
// themselves date a heap site.)
//
// What is live says when it was born. That others were born and died since the last capture shows in the totals alone
// and is dated by the captures around it: first seen no later than that, last seen at most an interval too late.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/key_index.h"

namespace leakhunt::ledger {

class Sightings {
 public:
  struct Span {
    int64_t first_ms = 0, last_ms = 0;  // 0 = never
    uint64_t births = 0;                // as of the last capture
  };

  // The span of the site with this identity. Takes a bounded number of sites; beyond it a blank span is returned.
  Span& Of(uint64_t identity);

  // Extends `span`: `births` so far, earliest and latest known birth of what is live (0 = nothing is).
  void Update(uint64_t births, int64_t first_ms, int64_t last_ms, int64_t now_ms, Span* span) const;

  // Says that a capture begins for a process started at `started_ms`, or that it has ended.
  void BeginCapture(int64_t started_ms);
  void EndCapture(int64_t now_ms) { previous_ms_ = now_ms; }

 private:
  int64_t previous_ms_ = 0;
  KeyIndex index_;
  std::vector<Span> spans_;
  Span overflow_;
};

}  // namespace leakhunt::ledger
