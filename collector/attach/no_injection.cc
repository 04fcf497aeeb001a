// Where loading a library into a process is not implemented: see injection.h.
#include "collector/attach/injection.h"

namespace leakhunt::attach {
namespace {

Error NotHere(pid_t pid) {
  return Error{"process " + std::to_string(pid) +
               " was not started with libleakhunt.so, which can be loaded into a running process on x86-64 only: restart it under "
               "leakhunt-collect -- COMMAND"};
}

}  // namespace

Status Inject(pid_t pid, const Options&) { return NotHere(pid); }
Status TakeOff(pid_t pid) { return NotHere(pid); }

}  // namespace leakhunt::attach
