// The processes below this one, by /proc: what a command leaves behind when it ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace leakhunt::supervise {

struct Descendant {
  pid_t pid = 0;
  std::string name;
};

// Those that live and have libleakhunt.so in them, ascending: recorded, or about to be. Processes of leakhunt's own are not
// among them. Orphans count where this process is a subreaper.
std::vector<Descendant> RecordedDescendants();

// "nginx (pid 12), nginx (pid 13) and 4 more".
std::string Name(const std::vector<Descendant>& processes);

}  // namespace leakhunt::supervise
