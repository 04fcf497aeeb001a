// JSON of doctor.
#pragma once

#include <string>

#include "viewer/doctor/symptom.h"

namespace leakhunt::viewer {

// "leakhunt/doctor/1".
std::string DoctorJson(const Symptoms& symptoms);

}  // namespace leakhunt::viewer
