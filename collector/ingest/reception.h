// The door: the listening socket, its connections, and what their messages lead to.
//
// Peers are hostile until judged: their user by SO_PEERCRED, their number bounded per user, a connection that does not
// say Hello closed after ten seconds, or sooner when newer connections need its place. Runs on the event loop; never
// blocks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "collector/ingest/connection.h"
#include "collector/ingest/event_loop.h"
#include "collector/ingest/session_table.h"
#include "collector/ingest/user_shares.h"

namespace leakhunt::ingest {

// Whose processes may enter. kRelatives: our own user's, and of others those that descend from a recorded process:
// workers that gave up root.
enum class Admittance { kOwnUser, kRelatives, kAnyUser };

class Reception {
 public:
  Reception(EventLoop* loop, SessionTable* sessions, const Options& options, Admittance admittance);

  // Accepts from a listening socket from now on; at most one at a time.
  Status Open(UniqueFd listening);
  void Close();

  // A connection that came another way: inherited, or passed on by another collector.
  void Add(UniqueFd socket);

  // Only this process and no child of it (`--children ignore`, `--pid`).
  void AdmitOnly(pid_t pid) { only_pid_ = pid; }

  // Passes a line on to the program's user.
  void Say(SessionId session, const std::string& line);

  // Serves everything that waits, without waiting for more.
  void Drain();

  void Tick();  // closes connections that never said Hello
  size_t Count() const { return clients_.size(); }

 private:
  struct Client {
    Connection connection;
    EventLoop::SourceId source = 0;
    SessionId session = 0;
    int64_t since_ms = 0;

    uid_t User() const { return connection.GetPeer().uid; }
    bool Silent() const { return session == 0; }  // has not said Hello
  };
  using ClientId = uint64_t;  // rising: of two, the lower came first

  void AcceptAll();
  void Serve(ClientId id);
  bool Handle(Client* client, Received received);  // false: close it
  bool Hello(Client* client, Received received);
  void Welcome(Client* client);
  bool MayEnter(const Peer& peer) const;
  bool MakeRoomFor(uid_t user);  // false: there is none
  bool DropOldestSilent(uid_t user);
  void Drop(ClientId id);

  EventLoop* loop_;
  SessionTable* sessions_;
  const Options& options_;
  Admittance admittance_;
  pid_t only_pid_ = 0;
  UniqueFd listening_;
  EventLoop::SourceId listening_source_ = 0;
  ClientId next_id_ = 1;
  std::map<ClientId, std::unique_ptr<Client>> clients_;
  UserShares connections_;
  UserShares silent_;  // those of clients_ that have not said Hello
};

}  // namespace leakhunt::ingest
