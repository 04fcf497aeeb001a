// A random program: seeded actors walk through calls that a program may make, and keep count of what they hold.
//
// The same seed makes the same calls, so the program prints the same line and ends in the same way each time it runs,
// alone or recorded. What depends on time or on numbers that the kernel picks never enters an actor's sum. Whatever a
// program may legally do at a random moment is in, for instance a jump out of a handler that interrupted open. What is
// undefined without a recorder is out, for instance a jump out of malloc.
#ifndef LEAKHUNT_TESTS_RANDOM_ACTOR_H_
#define LEAKHUNT_TESTS_RANDOM_ACTOR_H_

#include <cstddef>
#include <cstdint>

namespace random_program {

constexpr int kBlocks = 48, kDescriptors = 12;
constexpr int kMostDepth = 2;  // threads and children below the first actor

// Where an actor runs decides which calls are defined there.
enum class Place {
  kMain,        // the first thread of a process without other threads
  kThread,      // beside other threads
  kForkOfMany,  // a child forked by a process with threads: malloc and descriptors alone
  kFiber,       // a stack of a few KiB: malloc and descriptors alone
};

struct Actor {
  uint64_t random;  // state of the generator
  uint64_t sum;     // of what the calls returned
  int depth;
  Place place;
  void* blocks[kBlocks];
  size_t sizes[kBlocks];
  int descriptors[kDescriptors];  // -1: none
  bool inherited[kDescriptors];   // of the descriptors: made before the fork that made this process
};

void Begin(Actor* actor, uint64_t seed, int depth, Place place);
uint32_t Draw(Actor* actor, uint32_t below);
void Note(Actor* actor, uint64_t value);
void Walk(Actor* actor, int steps);

// held.cc: everything that a process holds is made by a function called Keep..., so that a report can be asked for it.
void HeapStep(Actor* actor);
void DescriptorStep(Actor* actor);
void PluginStep(Actor* actor);
void DropAll(Actor* actor);             // frees and closes what the actor holds
void CloseEverything(Actor* actor);     // from 3 up; the actor is the only one of its process
void InheritDescriptors(Actor* actor);  // what a forked child has it has not opened; its report names no site for it
// Appends "PID BLOCKS BYTES DESCRIPTORS" to the file that RANDOM_TRUTH names, if it does.
void TellTruth();

// flow.cc: signals, jumps, exceptions, fibers, threads. children.cc: forks, images, endings.
void SignalStep(Actor* actor);
void JumpStep(Actor* actor);
void ThrowStep(Actor* actor);
void FiberStep(Actor* actor);
void ThreadStep(Actor* actor);
void CancelStep(Actor* actor);
void MappingStep(Actor* actor);
void ChildStep(Actor* actor);
void ImageStep(Actor* actor);
[[noreturn]] void End(Actor* actor);  // by exit, a signal, …, as the seed says

// Ends the program when a call did not do what it must.
[[noreturn]] void Broken(const char* what);

extern const char* g_self;
extern const char* g_plugins[3];  // the last one is bound deeply

}  // namespace random_program

#endif  // LEAKHUNT_TESTS_RANDOM_ACTOR_H_
