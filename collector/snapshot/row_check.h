// What must hold of a snapshot before anybody indexes with it: every index points into its list, every figure is
// finite and not negative, every enum has a name.
//
// Rows are checked as they come, when the lists they point into may not be known yet: of each list the furthest
// element named is kept, with the row that named it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "collector/base/result.h"
#include "collector/snapshot/rows.h"

namespace leakhunt::snapshot {

class RowCheck final : public Rows {
 public:
  void Add(const Stack& stack) override;
  void Add(const Site& site) override;

  // The verdict on the rows so far and on everything else of `snapshot`, whose own rows are not looked at.
  // Error: the reason, without the file ("site 3 names stack 77 of 12").
  Status Finish(const Snapshot& snapshot);

 private:
  struct Furthest {
    const char* what = "";  // the row that named it
    size_t row = 0;
    uint64_t named = 0;
    bool any = false;
  };

  static void Name(const char* what, size_t row, uint64_t index, Furthest* furthest);
  static Status Within(const Furthest& furthest, const char* target, size_t size);
  void Refuse(const char* what, size_t row, const char* why);
  void AddShares(const char* what, size_t row, const std::vector<ThreadShare>& shares);
  void AddHandleSite(size_t row, const HandleSite& site);

  size_t stacks_ = 0, sites_ = 0;
  Furthest frame_, stack_, scope_, thread_;
  Status defect_ = Ok();  // the first
};

}  // namespace leakhunt::snapshot
