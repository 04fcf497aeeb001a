// Built with ThreadSanitizer: threads that allocate, throw and open at once, and threads after threads. It would say what it
// takes for a race, and end with its own status.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

static void Work() {
  std::map<int, std::string> texts;
  for (int i = 0; i < 4000; ++i) texts[i % 300] = std::string(i % 200, 'x');
  try {
    throw std::string("thrown");
  } catch (const std::string& thrown) {
    if (thrown != "thrown") std::abort();
  }
  for (int i = 0; i < 20; ++i) close(open("/dev/null", O_RDONLY));
}

int main() {
  for (int round = 0; round < 4; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) threads.emplace_back(Work);
    for (std::thread& thread : threads) thread.join();
  }
  std::puts("no race");
  return 0;
}
