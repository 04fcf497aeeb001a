// The two sides of a diff, loaded, and its rows ranked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "viewer/command.h"
#include "viewer/diff_rows.h"
#include "viewer/fix_check.h"
#include "viewer/selection.h"

namespace leakhunt::viewer {

struct DiffReport {
  ChosenSnapshot before, after;
  std::unique_ptr<Resolver> before_symbols, after_symbols;
  std::vector<DiffRow> rows;  // ranked, not cut
  double seconds = 0;         // between the two; of two recordings: the difference of their ages, 0 when they are about the same
  FixCheck fixes;             // of two recordings: what leaked in the first

  const ResolvedStack& StackOf(const DiffRow& row) { return (row.gone ? before_symbols : after_symbols)->Stack(row.stack); }
  bool SameProcess() const;
};

// Two snapshot names with at most one path, or two paths, or one path (first to last), or nothing.
Result<std::unique_ptr<DiffReport>> LoadDiff(Context& context);

// "leakhunt/diff/1".
std::string DiffJson(DiffReport& report, size_t rows_shown);

}  // namespace leakhunt::viewer
