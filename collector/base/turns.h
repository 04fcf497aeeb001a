// Long work in turns: pieces of work of which one runs at a time, a few milliseconds each, on stacks of their own.
//
// A snapshot of one process may take seconds; meanwhile others must be served. Each piece of work is a thread, but only
// one thread of all (the caller's included) ever runs: control is handed over and back, so work and caller share data
// without locks. The caller must leave alone what a piece of work is in the middle of. Threads and not fibers, because
// musl has no makecontext and the sanitizers know threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace leakhunt {

class Turns {
 public:
  static constexpr int64_t kTurnMs = 10;

  // Nothing runs before the first Run.
  explicit Turns(std::function<void()> work) : work_(std::move(work)) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  ~Turns();  // runs what is left to its end

  // Gives the work a turn. True when it is done. Where no thread can be started, all of it runs here and now.
  bool Run();

  // Runs it to its end.
  void Finish();

  // Called by the work wherever it may be interrupted: ends the turn when its time is over. Nothing outside of a turn. The
  // clock is looked at every 16 calls; `calls`: what came before counts as so many.
  static void Pause(int calls = 1);

 private:
  enum class Owner { kCaller, kWork };

  bool Start();
  void Body();
  void HandOver(Owner to);
  void EndTurn();

  std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Owner owner_ = Owner::kCaller;
  int64_t turn_ends_ns_ = 0;  // 0 = never
  bool done_ = false;
  std::thread thread_;
};

}  // namespace leakhunt
