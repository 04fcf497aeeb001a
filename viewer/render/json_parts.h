// The parts that the JSON of several commands shares, field for field as documented for users. Stable: fields may be
// added, never renamed or removed.
#pragma once

#include <nlohmann/json.hpp>

#include "collector/snapshot/estimate.h"
#include "collector/snapshot/model.h"
#include "viewer/resolve.h"

namespace leakhunt::viewer {

using Json = nlohmann::ordered_json;

Json NumberJson(double value);              // an integer when it is one, else rounded to thousandths
Json TimeJson(int64_t unix_ms);             // Unix seconds; null for 0
Json AgeJson(int64_t birth_ms, int64_t now_ms);  // seconds; null when there is no birth
Json EstimateJson(const snapshot::Estimate& estimate);
Json EstimateJson(const snapshot::Weighted& sum);
Json ProcessJson(const snapshot::ProcessInfo& process);
Json SnapshotJson(const snapshot::Snapshot& snapshot);
Json SamplingJson(const snapshot::Sampling& sampling);
Json LossesJson(const snapshot::Losses& losses);
Json InconsistencyJson(const snapshot::Snapshot& snapshot);  // null: none
Json StackJson(const ResolvedStack& stack);

// Indented, ended by a newline; text that is not UTF-8 is replaced, not refused.
std::string Dump(const Json& json);

}  // namespace leakhunt::viewer
