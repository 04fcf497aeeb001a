// Children in every way that a process can have them, new images, and the ways in which a process ends.
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "actor.h"

extern char** environ;

namespace random_program {
namespace {

pid_t Fork(Actor* actor) {
  switch (Draw(actor, 4)) {
    case 0:
      return _Fork();
    case 1:
      return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    default:
      return fork();
  }
}

void AwaitChild(Actor* actor, pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) Broken("a child could not be waited for");
  Note(actor, static_cast<uint64_t>(status));
}

// The sum of what the child has done is its exit status, so that its parent notes it.
[[noreturn]] void RunChild(Actor* actor, uint64_t seed) {
  const bool of_many = actor->place == Place::kThread;
  actor->random = seed;
  actor->sum = 0;
  ++actor->depth;
  InheritDescriptors(actor);
  if (of_many)
    actor->place = Place::kForkOfMany;
  else if (Draw(actor, 4) == 0)
    CloseEverything(actor);
  Walk(actor, 80);
  if (of_many) _exit(static_cast<int>(actor->sum & 63));
  End(actor);
}

void RunImage(Actor* actor, uint64_t seed, int way) {
  const std::string number = std::to_string(seed), depth = std::to_string(actor->depth + 1);
  const char* words[] = {g_self, number.c_str(), g_plugins[0], g_plugins[1], g_plugins[2], depth.c_str(), nullptr};
  auto* arguments = const_cast<char**>(words);
  pid_t child = -1;
  if (way == 0) {
    if (posix_spawn(&child, g_self, nullptr, nullptr, arguments, environ) != 0) Broken("posix_spawn");
  } else if ((child = way == 1 ? vfork() : fork()) == 0) {
    execv("/nonexistent/program", arguments);  // fails, and the process goes on
    execv(g_self, arguments);
    _exit(98);
  }
  AwaitChild(actor, child);
}

void FreeAtExit() { std::free(std::malloc(100)); }

}  // namespace

void ChildStep(Actor* actor) {
  const uint64_t seed = Draw(actor, ~0u);
  // A child of a process with threads may do little. By a way that skips the handlers of fork, it may not even
  // allocate.
  const pid_t child = actor->place == Place::kMain ? Fork(actor) : fork();
  if (child == 0) RunChild(actor, seed);
  AwaitChild(actor, child);
}

void ImageStep(Actor* actor) {
  const uint64_t seed = Draw(actor, ~0u);
  if (Draw(actor, 3) == 0 && actor->place == Place::kMain) {
    std::system("exit 7");
    return;
  }
  RunImage(actor, seed, static_cast<int>(Draw(actor, 3)));
}

void End(Actor* actor) {
  const int status = static_cast<int>(actor->sum & 63);
  const uint32_t way = Draw(actor, 8);
  TellTruth();
  switch (way) {
    case 0:
      _exit(status);
    case 1:
      std::quick_exit(status);
    case 2:
      kill(getpid(), SIGKILL);
      break;
    case 3:
      std::abort();
    case 4:
      std::atexit(FreeAtExit);
      [[fallthrough]];
    default:
      std::exit(status);
  }
  for (;;) pause();
}

}  // namespace random_program
