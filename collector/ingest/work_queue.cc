#include "collector/ingest/work_queue.h"

#include <algorithm>
#include <ctime>
#include <tuple>
#include <utility>

#include "collector/ingest/user_shares.h"

namespace leakhunt::ingest {
namespace {

// At a time: each takes the memory of one capture.
constexpr int kMostOfFavoured = 4, kMostOfStrangers = 4;
constexpr int64_t kRestPerWork = 3;  // of a stranger's user: so many times what its turn took
constexpr size_t kMostUsers = 4096;

int64_t SteadyNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void WorkQueue::Add(SessionId session, uid_t user, std::function<void()> work, std::function<void()> done) {
  Line& line = lines_[session];
  line.user = user;
  line.items.push_back({std::move(work), std::move(done)});
  if (line.items.size() > 1 || !MayStart(user)) return;
  if (users_.size() >= kMostUsers) users_.clear();
  if (users_[user].not_before_ns <= SteadyNs()) TurnOf(session);
}

size_t WorkQueue::WaitingOf(SessionId session) const {
  auto found = lines_.find(session);
  return found == lines_.end() ? 0 : found->second.items.size();
}

void WorkQueue::DropWaiting(SessionId session) {
  auto found = lines_.find(session);
  if (found == lines_.end()) return;
  found->second.items.resize(found->second.running != nullptr ? 1 : 0);
  if (found->second.items.empty()) lines_.erase(found);
}

bool WorkQueue::MayStart(uid_t user) const {
  int of_user = 0, of_group = 0;
  for (const auto& [session, line] : lines_) {
    if (line.running == nullptr) continue;
    of_user += line.user == user;
    of_group += IsFavoured(line.user) == IsFavoured(user);
  }
  return IsFavoured(user) ? of_group < kMostOfFavoured : of_user == 0 && of_group < kMostOfStrangers;
}

// The session that waited longest of the user that waited longest.
WorkQueue::SessionId WorkQueue::Next(int64_t now_ns) const {
  SessionId next = 0;
  std::tuple<uint64_t, uint64_t> best;
  for (const auto& [session, line] : lines_) {
    if (line.running == nullptr && !MayStart(line.user)) continue;
    auto user = users_.find(line.user);
    if (user != users_.end() && user->second.not_before_ns > now_ns) continue;
    const std::tuple rank(user == users_.end() ? 0 : user->second.last_turn, line.last_turn);
    if (next != 0 && rank >= best) continue;
    next = session;
    best = rank;
  }
  return next;
}

void WorkQueue::TurnOf(SessionId session) {
  Line& line = lines_[session];
  if (line.running == nullptr) line.running = std::make_unique<Turns>(std::move(line.items.front().work));
  const int64_t begun_ns = SteadyNs();
  const bool done = line.running->Run();
  const int64_t ended_ns = SteadyNs();
  User& user = users_[line.user];
  line.last_turn = user.last_turn = ++turns_;
  if (!IsFavoured(line.user)) user.not_before_ns = ended_ns + kRestPerWork * (ended_ns - begun_ns);
  if (done) Done(session);
}

void WorkQueue::Done(SessionId session) {
  auto found = lines_.find(session);
  Line& line = found->second;
  line.running.reset();
  std::function<void()> done = std::move(line.items.front().done);
  line.items.pop_front();
  if (line.items.empty()) lines_.erase(found);
  done();  // may add more
}

void WorkQueue::Turn() {
  if (SessionId next = Next(SteadyNs())) TurnOf(next);
}

int64_t WorkQueue::WaitMs() const {
  if (lines_.empty()) return -1;
  const int64_t now_ns = SteadyNs();
  int64_t wait_ns = -1;
  for (const auto& [session, line] : lines_) {
    if (line.running == nullptr && !MayStart(line.user)) continue;
    auto user = users_.find(line.user);
    const int64_t due_ns = user == users_.end() ? 0 : std::max<int64_t>(user->second.not_before_ns - now_ns, 0);
    wait_ns = wait_ns < 0 ? due_ns : std::min(wait_ns, due_ns);
  }
  return wait_ns < 0 ? 0 : (wait_ns + 999'999) / 1'000'000;
}

void WorkQueue::FinishAll() {
  while (!lines_.empty()) {
    const SessionId session = lines_.begin()->first;
    Line& line = lines_.begin()->second;
    if (line.running == nullptr) line.running = std::make_unique<Turns>(std::move(line.items.front().work));
    line.running->Finish();
    Done(session);
  }
}

}  // namespace leakhunt::ingest
