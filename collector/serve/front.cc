#include "collector/serve/front.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <utility>

#include "collector/serve/framing.h"

namespace leakhunt::serve {
namespace {

constexpr size_t kQuickWorkers = 2, kReportWorkers = 3, kMostWaiting = 64;
constexpr int kLookMs = 500;  // between looks at the deadlines
constexpr int kMostAcceptedAtOnce = 64;
constexpr int kPauseMs = 20;  // when there is no descriptor for a newcomer
constexpr size_t kMostDrained = 1 << 20;

int64_t SteadyMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

bool IsReport(const std::string& request) {
  return request.rfind("GET /api/", 0) == 0 || request.rfind("GET /debug/", 0) == 0 ||
         request.rfind("HEAD /api/", 0) == 0 || request.rfind("HEAD /debug/", 0) == 0;
}

// The end of the answer, and what has come meanwhile thrown away: closing over unread bytes would reset the connection
// and could take the answer from its reader.
void HangUp(int socket) {
  shutdown(socket, SHUT_WR);
  char buffer[16384];
  size_t drained = 0;
  for (ssize_t got; drained < kMostDrained && (got = recv(socket, buffer, sizeof(buffer), 0)) > 0;) {
    drained += static_cast<size_t>(got);
  }
}

}  // namespace

struct Front::Mailbox {
  std::mutex mutex;
  std::vector<Done> done;
  UniqueFd wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  void Put(Done one) {
    {
      std::lock_guard lock(mutex);
      done.push_back(std::move(one));
    }
    const uint64_t one_more = 1;
    (void)!write(wake.Get(), &one_more, sizeof(one_more));
  }

  std::vector<Done> TakeAll() {
    uint64_t count = 0;
    (void)!read(wake.Get(), &count, sizeof(count));
    std::lock_guard lock(mutex);
    return std::exchange(done, {});
  }
};

Front::Front(int listener, Answer answer, Refusal refusal, FrontLimits limits)
    : listener_(listener),
      answer_(std::move(answer)),
      refusal_(std::move(refusal)),
      limits_(limits),
      mailbox_(std::make_shared<Mailbox>()),
      quick_(kQuickWorkers, kMostWaiting),
      reports_(kReportWorkers, kMostWaiting) {}

int Front::Run() {
  std::vector<pollfd> fds;
  std::vector<uint64_t> ids;
  for (;;) {
    fds.assign({{listener_, POLLIN, 0}, {mailbox_->wake.Get(), POLLIN, 0}});
    ids.assign(2, 0);
    for (const auto& [id, connection] : connections_) {
      const short wanted = connection.state == State::kReading   ? POLLIN
                           : connection.state == State::kWriting ? POLLOUT
                                                                 : short{0};
      fds.push_back({connection.socket.Get(), wanted, 0});
      ids.push_back(id);
    }
    if (poll(fds.data(), fds.size(), kLookMs) < 0 && errno != EINTR) return errno;
    for (size_t i = 2; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      auto found = connections_.find(ids[i]);
      if (!Serve(found->first, &found->second, fds[i].revents)) connections_.erase(found);
    }
    if (fds[1].revents != 0) TakeAnswers();
    CloseExpired();
    if (fds[0].revents != 0) Accept();
  }
}

// What has come is read before a newcomer may take a place, so a peer that asks at once is never the one to go.
void Front::Accept() {
  for (int i = 0; i < kMostAcceptedAtOnce; ++i) {
    if (connections_.size() >= limits_.connections && !MakeRoom()) return;
    UniqueFd socket(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.Valid() && (errno == EMFILE || errno == ENFILE)) {
      if (!MakeRoom()) poll(nullptr, 0, kPauseMs);
      return;
    }
    if (!socket.Valid()) return;
    const uint64_t id = next_id_++;
    Connection& connection = connections_[id];
    connection.socket = std::move(socket);
    connection.since_ms = SteadyMs();
    if (!Serve(id, &connection, POLLIN)) connections_.erase(id);
  }
}

// The connection that has waited longest for its peer's request goes; without such a one, for its peer to read.
bool Front::MakeRoom() {
  auto victim = connections_.end();
  for (State state : {State::kReading, State::kWriting}) {
    for (auto at = connections_.begin(); at != connections_.end(); ++at) {
      if (at->second.state != state) continue;
      if (victim == connections_.end() || at->second.since_ms < victim->second.since_ms) victim = at;
    }
    if (victim != connections_.end()) break;
  }
  if (victim == connections_.end()) return false;
  connections_.erase(victim);
  return true;
}

bool Front::Serve(uint64_t id, Connection* connection, short events) {
  if (connection->state == State::kWorking) return (events & (POLLERR | POLLHUP)) == 0;
  if (connection->state == State::kWriting) return Send(id, connection);
  return Receive(connection) && Advance(id, connection);
}

// False when the peer is gone.
bool Front::Receive(Connection* connection) {
  char buffer[8192];
  while (connection->in.size() <= kMostHead + kMostBody) {
    const ssize_t got = recv(connection->socket.Get(), buffer, sizeof(buffer), 0);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (connection->in.empty()) connection->since_ms = SteadyMs();
    connection->in.append(buffer, static_cast<size_t>(got));
  }
  return true;
}

// Looks whether a request is whole; false when the connection is done with.
bool Front::Advance(uint64_t id, Connection* connection) {
  const Framing framing = FrameRequest(connection->in);
  if (framing.state == Framing::State::kWhole) Give(id, connection, framing.size);
  if (framing.state == Framing::State::kRefused) {
    StartWriting(connection, refusal_(framing.status, framing.why), true);
  }
  return connection->state != State::kWriting || Send(id, connection);
}

void Front::Give(uint64_t id, Connection* connection, size_t size) {
  std::string request = connection->in.substr(0, size);
  connection->in.erase(0, size);
  Workers& workers = IsReport(request) ? reports_ : quick_;
  connection->state = State::kWorking;
  const bool taken = workers.Add([mailbox = mailbox_, answer = answer_, id, request = std::move(request)] {
    mailbox->Put({id, answer(request)});
  });
  if (!taken) StartWriting(connection, refusal_(503, "too many requests wait; ask again later"), true);
}

void Front::StartWriting(Connection* connection, std::string bytes, bool close) {
  connection->state = State::kWriting;
  connection->out = std::move(bytes);
  connection->written = 0;
  connection->close = close;
  connection->since_ms = SteadyMs();
}

// False when the connection is done with.
bool Front::Send(uint64_t id, Connection* connection) {
  while (connection->written < connection->out.size()) {
    const ssize_t sent = send(connection->socket.Get(), connection->out.data() + connection->written,
                              connection->out.size() - connection->written, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection->written += static_cast<size_t>(sent);
  }
  if (connection->close || connection->out.empty()) {
    HangUp(connection->socket.Get());
    return false;
  }
  std::string().swap(connection->out);
  connection->state = State::kReading;
  connection->since_ms = SteadyMs();
  return Advance(id, connection);  // the next request may have come with the last
}

void Front::TakeAnswers() {
  for (Done& done : mailbox_->TakeAll()) {
    auto found = connections_.find(done.connection);
    if (found == connections_.end()) continue;  // its peer has left, or was too slow
    StartWriting(&found->second, std::move(done.answered.bytes), done.answered.close);
    if (!Send(found->first, &found->second)) {
      connections_.erase(found);
    } else {
      BoundPendingBytes(done.connection);
    }
  }
}

void Front::BoundPendingBytes(uint64_t newest) {
  for (;;) {
    size_t pending = 0;
    auto oldest = connections_.end();
    for (auto at = connections_.begin(); at != connections_.end(); ++at) {
      if (at->second.out.empty() || at->first == newest) continue;
      pending += at->second.out.size();
      if (oldest == connections_.end() || at->second.since_ms < oldest->second.since_ms) oldest = at;
    }
    if (pending <= limits_.pending_bytes) return;
    connections_.erase(oldest);
  }
}

// True when its time is up. A request that came in part is told so.
bool Front::Expired(Connection* connection, int64_t now_ms) {
  const int64_t waited = now_ms - connection->since_ms;
  if (connection->state == State::kWorking) return false;  // the workers' own bounds hold
  if (connection->state == State::kWriting) return waited > limits_.answer_ms;
  if (connection->in.empty()) return waited > limits_.idle_ms;
  if (waited <= limits_.request_ms) return false;
  const std::string text = refusal_(408, "the request took too long");
  (void)!send(connection->socket.Get(), text.data(), text.size(), MSG_NOSIGNAL);
  return true;
}

void Front::CloseExpired() {
  const int64_t now_ms = SteadyMs();
  for (auto at = connections_.begin(); at != connections_.end();) {
    at = Expired(&at->second, now_ms) ? connections_.erase(at) : std::next(at);
  }
}

}  // namespace leakhunt::serve
