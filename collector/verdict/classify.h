// From figures to a verdict: the rules, and the sentences that give the reasons.
#pragma once

#include "collector/verdict/analysis.h"

namespace leakhunt::verdict {

// `q`: the site's false-discovery-adjusted probability of not growing.
SiteVerdict Classify(const History& history, const Analysis& analysis, double q, const Thresholds& thresholds);

// The three clauses, with their numbers.
Evidence Explain(const History& history, const Analysis& analysis, double q, const Thresholds& thresholds);

}  // namespace leakhunt::verdict
