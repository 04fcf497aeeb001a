// Allocations before main: constructors by priority, static objects, and their destructors after main.
#include <cstdlib>
#include <map>
#include <string>

namespace {

void* early[10];
__attribute__((constructor(101))) void First() {
  for (void*& block : early) block = std::malloc(70);
}
__attribute__((constructor)) void Second() { std::free(early[3]); }

std::map<std::string, std::string> table = {{"a key that does not fit the small buffer", "value"},
                                            {"b", std::string(100, 'b')}};
const std::string* never_destroyed = new std::string(300, 'n');

}  // namespace

int main() {
  table["c"] = *never_destroyed;
  std::free(early[4]);
  return 0;
}
