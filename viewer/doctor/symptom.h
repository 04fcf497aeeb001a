// One thing the doctor looked at.
#pragma once

#include <string>
#include <vector>

namespace leakhunt::viewer {

enum class Health { kGood, kNote, kProblem };

struct Symptom {
  Health health = Health::kGood;
  std::string check;   // one word or two: "static", "setuid", "malloc", "libc", "socket", …
  std::string what;    // what was found
  std::string remedy;  // what to do; empty when nothing is to be done
};

using Symptoms = std::vector<Symptom>;

inline const char* HealthName(Health health) {
  return health == Health::kGood ? "ok" : health == Health::kNote ? "note" : "problem";
}

}  // namespace leakhunt::viewer
