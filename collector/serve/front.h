// The connections of the HTTP API: one thread reads requests and writes answers for all of them, a few workers answer.
//
// A peer that is slow costs its own connection and nothing else: only whole requests reach a worker, each answer is
// written as its reader takes it, and every wait has a deadline that slow bytes do not move. At the bound of
// connections the one that has waited longest for its peer makes room. Reports have workers of their own, so that
// health and metrics never wait for them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collector/base/unique_fd.h"
#include "collector/serve/workers.h"

namespace leakhunt::serve {

struct Answered {
  std::string bytes;   // a whole response; empty: close without one
  bool close = false;  // after it is written
};

struct FrontLimits {
  size_t connections = 256;
  size_t pending_bytes = 128 << 20;  // of all answers that wait for their readers, besides the newest
  int64_t request_ms = 10'000;       // from the first byte of a request to its last
  int64_t idle_ms = 15'000;          // without a byte of the next request
  int64_t answer_ms = 60'000;        // from the first byte of an answer to its last
};

class Front {
 public:
  // Called on workers, on several at a time: the answer to one whole request.
  using Answer = std::function<Answered(const std::string& request)>;
  // The response to a request that is no HTTP or comes too late; `Answered::close` is taken as true.
  using Refusal = std::function<std::string(int status, const std::string& why)>;

  // `listener` is non-blocking and stays the caller's.
  Front(int listener, Answer answer, Refusal refusal, FrontLimits limits = {});

  // Serves until poll fails for good; the error is errno.
  int Run();

 private:
  enum class State { kReading, kWorking, kWriting };

  struct Connection {
    UniqueFd socket;
    State state = State::kReading;
    std::string in, out;
    size_t written = 0;
    int64_t since_ms = 0;  // this request's first byte, or this state
    bool close = false;
  };

  struct Done {
    uint64_t connection;
    Answered answered;
  };

  void Accept();
  bool MakeRoom();
  bool Receive(Connection* connection);
  bool Advance(uint64_t id, Connection* connection);
  void Give(uint64_t id, Connection* connection, size_t size);
  void StartWriting(Connection* connection, std::string bytes, bool close);
  bool Send(uint64_t id, Connection* connection);
  bool Serve(uint64_t id, Connection* connection, short events);
  void TakeAnswers();
  void BoundPendingBytes(uint64_t newest);
  bool Expired(Connection* connection, int64_t now_ms);
  void CloseExpired();

  const int listener_;
  const Answer answer_;
  const Refusal refusal_;
  const FrontLimits limits_;
  std::map<uint64_t, Connection> connections_;
  uint64_t next_id_ = 1;

  struct Mailbox;  // what workers hand back; outlives the front when a worker does
  std::shared_ptr<Mailbox> mailbox_;
  Workers quick_, reports_;
};

}  // namespace leakhunt::serve
