// random_program SEED PLUGIN PLUGIN PLUGIN [DEPTH]: walks, prints one line, ends as the seed says.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "actor.h"

namespace random_program {

const char* g_self;
const char* g_plugins[3];

void Begin(Actor* actor, uint64_t seed, int depth, Place place) {
  std::memset(actor, 0, sizeof(*actor));
  actor->random = seed * 0x9E37'79B9'7F4A'7C15u + 1;
  actor->depth = depth;
  actor->place = place;
  for (int& descriptor : actor->descriptors) descriptor = -1;
}

// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
uint32_t Draw(Actor* actor, uint32_t below) {
  uint64_t z = actor->random += 0x9E37'79B9'7F4A'7C15u;
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9u;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBu;
  return static_cast<uint32_t>((z ^ (z >> 31)) % below);
}

void Note(Actor* actor, uint64_t value) { actor->sum = (actor->sum ^ value) * 0x100'0000'01B3u; }

void Walk(Actor* actor, int steps) {
  using Step = void (*)(Actor*);
  static constexpr Step kSafe[] = {HeapStep, HeapStep, HeapStep, DescriptorStep, DescriptorStep};
  static constexpr Step kInThread[] = {SignalStep, JumpStep, ThrowStep, FiberStep, MappingStep, PluginStep, CancelStep};
  static constexpr Step kSeldom[] = {ThreadStep, ChildStep, ImageStep};
  for (int step = 0; step < steps; ++step) {
    const uint32_t draw = Draw(actor, 100);
    const bool free_to_act = actor->place == Place::kMain || actor->place == Place::kThread;
    if (draw >= 97 && free_to_act && actor->depth < kMostDepth)
      kSeldom[Draw(actor, std::size(kSeldom))](actor);
    else if (draw >= 85 && free_to_act)
      kInThread[Draw(actor, std::size(kInThread))](actor);
    else
      kSafe[draw % std::size(kSafe)](actor);
  }
}

void Broken(const char* what) {
  std::fprintf(stderr, "random_program: %s\n", what);
  std::_Exit(99);
}

}  // namespace random_program

int main(int count, char** words) {
  using namespace random_program;
  if (count < 5) Broken("usage: random_program SEED PLUGIN PLUGIN PLUGIN [DEPTH]");
  g_self = words[0];
  for (int i = 0; i < 3; ++i) g_plugins[i] = words[2 + i];
  static Actor actor;
  Begin(&actor, std::strtoull(words[1], nullptr, 10), count > 5 ? std::atoi(words[5]) : 0, Place::kMain);
  Walk(&actor, 400);
  if (actor.depth == 0) {
    std::printf("%016llx\n", static_cast<unsigned long long>(actor.sum));
    std::fflush(stdout);
  }
  End(&actor);
}
