#include "collector/base/turns.h"

#include <ctime>
#include <limits>
#include <system_error>

namespace leakhunt {
namespace {

constexpr int kCallsALook = 16;  // at the clock

thread_local Turns* g_turns = nullptr;  // of the work that this thread is
thread_local int g_calls = 0;

int64_t SteadyNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Turns::~Turns() {
  if (thread_.joinable()) Finish();
}

// Gives `to` the right to run and waits until it is given back.
void Turns::HandOver(Owner to) {
  std::unique_lock lock(mutex_);
  const Owner self = to == Owner::kWork ? Owner::kCaller : Owner::kWork;
  owner_ = to;
  changed_.notify_all();
  changed_.wait(lock, [&] { return owner_ == self; });
}

bool Turns::Start() {
  try {
    thread_ = std::thread([this] { Body(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void Turns::Body() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return owner_ == Owner::kWork; });
  }
  g_turns = this;
  work_();
  std::lock_guard lock(mutex_);
  done_ = true;
  owner_ = Owner::kCaller;
  changed_.notify_all();
}

bool Turns::Run() {
  if (done_) return true;
  if (!thread_.joinable() && !Start()) {
    work_();
    return done_ = true;
  }
  if (turn_ends_ns_ != std::numeric_limits<int64_t>::max()) turn_ends_ns_ = SteadyNs() + kTurnMs * 1'000'000;
  HandOver(Owner::kWork);
  if (done_) thread_.join();
  return done_;
}

void Turns::Finish() {
  turn_ends_ns_ = std::numeric_limits<int64_t>::max();
  Run();
}

void Turns::EndTurn() {
  if (SteadyNs() >= turn_ends_ns_) HandOver(Owner::kCaller);
}

void Turns::Pause(int calls) {
  if (g_turns == nullptr || (g_calls += calls) < kCallsALook) return;
  g_calls = 0;
  g_turns->EndTurn();
}

}  // namespace leakhunt
