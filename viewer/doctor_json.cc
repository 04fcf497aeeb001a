#include "viewer/doctor_json.h"

#include "viewer/render/json_parts.h"

namespace leakhunt::viewer {

std::string DoctorJson(const Symptoms& symptoms) {
  Json list = Json::array();
  size_t problems = 0;
  for (const Symptom& symptom : symptoms) {
    problems += symptom.health == Health::kProblem ? 1 : 0;
    list.push_back({{"check", symptom.check},
                    {"state", HealthName(symptom.health)},
                    {"what", symptom.what},
                    {"remedy", symptom.remedy}});
  }
  return Dump({{"schema", "leakhunt/doctor/1"}, {"problems", problems}, {"findings", std::move(list)}});
}

}  // namespace leakhunt::viewer
