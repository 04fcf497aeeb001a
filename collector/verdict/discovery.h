// False-discovery control across the sites of one process (Benjamini & Hochberg 1995).
#pragma once

#include <vector>

namespace leakhunt::verdict {

// For each p value the smallest false-discovery rate at which it is still a discovery (its q value), in input order.
std::vector<double> QValues(const std::vector<double>& p);

}  // namespace leakhunt::verdict
