// What must be there on the machine before anything can be recorded: the library, a collector or the right to start one.
#pragma once

#include <map>
#include <string>

#include "viewer/doctor/symptom.h"

namespace leakhunt::viewer {

using Environment = std::map<std::string, std::string>;

// The variables of this process that begin with LEAKHUNT_, and XDG_RUNTIME_DIR and LD_PRELOAD.
Environment OwnEnvironment();

// Of a program of user `uid` with `environment`: whether a collector listens where that program looks.
void CheckCollector(const Environment& environment, unsigned uid, Symptoms& symptoms);

// libleakhunt.so beside this program or where the loader searches. Returns its path, empty when it is not there.
std::string CheckLibrary(Symptoms& symptoms);

}  // namespace leakhunt::viewer
