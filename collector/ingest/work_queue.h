// The snapshots that wait to be made, and whose turn it is.
//
// Each session's work is done in order; sessions and users take turns (base/turns.h), so that a process with much to read
// makes nobody wait longer than a turn. A stranger's user works on one session at a time and gets a quarter of the
// collector's time. Called from the event loop's thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "collector/base/turns.h"

namespace leakhunt::ingest {

class WorkQueue {
 public:
  using SessionId = uint64_t;

  // `work` runs in turns and must be the only one to touch its session's recorder; `done` is called on the event loop's
  // thread afterwards. What is short is done when this returns.
  void Add(SessionId session, uid_t user, std::function<void()> work, std::function<void()> done);

  bool Has(SessionId session) const { return lines_.count(session) != 0; }
  bool Empty() const { return lines_.empty(); }
  size_t WaitingOf(SessionId session) const;

  // Forgets what has not begun yet, without calling `done`.
  void DropWaiting(SessionId session);

  // One turn for whoever is next.
  void Turn();

  // Milliseconds until the next turn is due; -1: nothing is waiting.
  int64_t WaitMs() const;

  // Everything to its end, shares or not.
  void FinishAll();

 private:
  struct Item {
    std::function<void()> work, done;
  };
  struct Line {  // of one session
    uid_t user = 0;
    std::deque<Item> items;  // the first may be running
    std::unique_ptr<Turns> running;
    uint64_t last_turn = 0;
  };
  struct User {
    uint64_t last_turn = 0;
    int64_t not_before_ns = 0;
  };

  bool MayStart(uid_t user) const;
  SessionId Next(int64_t now_ns) const;  // 0: nobody
  void TurnOf(SessionId session);
  void Done(SessionId session);

  std::map<SessionId, Line> lines_;
  std::map<uid_t, User> users_;
  uint64_t turns_ = 0;
};

}  // namespace leakhunt::ingest
