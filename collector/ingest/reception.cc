#include "collector/ingest/reception.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "collector/notice.h"
#include "collector/watch/socket_tables.h"

namespace leakhunt::ingest {
namespace {

constexpr size_t kMaxClients = 1024;
constexpr size_t kMaxSilent = 256;  // connections that have not said Hello
constexpr int64_t kHelloPatienceMs = 10'000;
constexpr int kMessagesATurn = 64;
constexpr int kAcceptsATurn = 256;
constexpr int64_t kAcceptingMs = 20;  // then others have their turn

std::string FullLine(uid_t user) {
  return "user " + std::to_string(user) + " has as many connections as one user may: its further programs wait";
}

}  // namespace

Reception::Reception(EventLoop* loop, SessionTable* sessions, const Options& options, Admittance admittance)
    : loop_(loop),
      sessions_(sessions),
      options_(options),
      admittance_(admittance),
      connections_(CapacityByDescriptors(kMaxClients)),
      silent_(CapacityByDescriptors(kMaxSilent)) {}

Status Reception::Open(UniqueFd listening) {
  Close();
  listening_ = std::move(listening);
  auto source = loop_->Add(listening_.Get(), EPOLLIN, [this](uint32_t) { AcceptAll(); });
  if (!source) return source.error();
  listening_source_ = *source;
  return Ok();
}

void Reception::Close() {
  loop_->Remove(listening_source_);
  listening_source_ = 0;
  listening_.Reset();
}

void Reception::AcceptAll() {
  const int64_t begun_ms = record::NowMs();
  for (int i = 0; i < kAcceptsATurn && listening_.Valid(); ++i) {
    if (record::NowMs() - begun_ms > kAcceptingMs) return;
    UniqueFd socket(accept4(listening_.Get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.Valid()) {
      Add(std::move(socket));
      continue;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    // Out of descriptors or memory: leave the rest in the backlog until the next tick.
    NoticeOnce("accept", ErrnoError("cannot accept a program", errno).message + "; trying again");
    loop_->Remove(std::exchange(listening_source_, 0));
    return;
  }
}

bool Reception::MayEnter(const Peer& peer) const {
  return admittance_ == Admittance::kAnyUser || peer.uid == geteuid() ||
         (admittance_ == Admittance::kRelatives && sessions_->IsKin(peer.pid));
}

void Reception::Add(UniqueFd socket) {
  auto connection = Connection::Adopt(std::move(socket));
  if (!connection) return Detail(connection.error().message);
  if (!MayEnter(connection->GetPeer())) {
    // A stranger at the door that is open for relatives only tried the usual places: nothing its user needs to hear of.
    if (admittance_ != Admittance::kRelatives) connection->Refuse("this collector serves another user");
    return;
  }
  const uid_t user = connection->GetPeer().uid;
  // Closed without a word: a refusal would make the guest give up for good, and it tries again in a second.
  if (!MakeRoomFor(user)) return NoticeOnce("full " + std::to_string(user), FullLine(user));
  auto client = std::make_unique<Client>();
  client->connection = std::move(*connection);
  client->since_ms = record::NowMs();
  ClientId id = next_id_++;
  auto source = loop_->Add(client->connection.Fd(), EPOLLIN, [this, id](uint32_t) { Serve(id); });
  if (!source) return Detail(source.error().message);
  client->source = *source;
  clients_[id] = std::move(client);
  connections_.Take(user);
  silent_.Take(user);
  Serve(id);  // a guest's Hello is there as soon as the guest is: it must not be taken for a silent connection
}

bool Reception::MakeRoomFor(uid_t user) {
  while (!silent_.HasRoom(user)) {
    const bool at_its_share = !IsFavoured(user) && silent_.HeldBy(user) >= silent_.OfOneStranger();
    if (!DropOldestSilent(at_its_share ? user : silent_.GreediestLike(user))) return false;
  }
  while (!connections_.HasRoom(user)) {
    if (!DropOldestSilent(user)) return false;
  }
  return true;
}

// Drops the connection of `user` that has been silent longest, unless it speaks now. False: there is none.
bool Reception::DropOldestSilent(uid_t user) {
  for (const auto& [id, client] : clients_) {
    if (!client->Silent() || client->User() != user) continue;
    const ClientId oldest = id;
    Serve(oldest);
    auto found = clients_.find(oldest);
    if (found != clients_.end() && found->second->Silent()) Drop(oldest);
    return true;
  }
  return false;
}

void Reception::Serve(ClientId id) {
  for (int i = 0; i < kMessagesATurn; ++i) {
    auto found = clients_.find(id);
    if (found == clients_.end()) return;
    Client* client = found->second.get();
    auto received = client->connection.Receive();
    if (!received) {
      if (received.error().message != kClosed)
        Detail("process " + std::to_string(client->connection.GetPeer().pid) + ": " + received.error().message);
      return Drop(id);
    }
    if (!*received) return;
    if (!Handle(client, std::move(**received))) return Drop(id);
  }
}

bool Reception::Handle(Client* client, Received received) {
  const protocol::Message& message = received.message;
  auto kind = static_cast<protocol::MessageKind>(message.kind);
  if (kind == protocol::MessageKind::kAdopt) {
    if (client->connection.GetPeer().uid == geteuid()) Add(std::move(received.descriptor));
    return true;
  }
  if (message.version != protocol::kProtocolVersion) {
    client->connection.Refuse("collector speaks protocol version " + std::to_string(protocol::kProtocolVersion));
    return false;
  }
  if (kind == protocol::MessageKind::kHello) return Hello(client, std::move(received));
  if (kind == protocol::MessageKind::kSnapshot) sessions_->Request(client->session, message.text);
  return true;  // kFlush and kBye: the pages say the same, and are looked at on every tick and at the end
}

bool Reception::Hello(Client* client, Received received) {
  const Peer& peer = client->connection.GetPeer();
  if (client->session != 0) return false;
  if (only_pid_ != 0 && peer.pid != only_pid_) {
    client->connection.Refuse("children are not recorded");
    return false;
  }
  Arrival arrival;
  arrival.memfd = std::move(received.descriptor);
  arrival.pid = peer.pid;
  arrival.uid = peer.uid;
  arrival.pidfd = client->connection.TakePidfd();
  auto session = sessions_->Admit(std::move(arrival));
  if (!session) {
    Detail("process " + std::to_string(peer.pid) + ": " + session.error().message);
    // Without a word where the guest should come again: it never comes back after a refusal.
    if (session.error().message != SessionTable::kBusy) client->connection.Refuse(session.error().message);
    return false;
  }
  client->session = *session;
  silent_.GiveBack(peer.uid);
  sessions_->CheckOutput(*session);  // a program that waits for the welcome hears of it first
  Welcome(client);
  // After the welcome, for which the guest waits: the first question may make the kernel load a module.
  sessions_->Begin(*session, watch::PeerSocketInode(client->connection.Fd()));
  return true;
}

void Reception::Welcome(Client* client) {
  protocol::Message welcome = MakeMessage(protocol::MessageKind::kWelcome);
  welcome.values[protocol::kWelcomeFixedInterval] = options_.sample_bytes.value_or(0);
  welcome.values[protocol::kWelcomeBudgetPpm] = options_.budget_ppm.value_or(kDefaultBudgetPpm);
  welcome.values[protocol::kWelcomeTrack] = options_.track.value_or(protocol::kTrackAll);
  welcome.values[protocol::kWelcomeChildren] = options_.follow_children.value_or(true) ? 1 : 0;
  client->connection.Send(welcome);
}

void Reception::Say(SessionId session, const std::string& line) {
  protocol::Message notice = MakeMessage(protocol::MessageKind::kNotice);
  constexpr size_t kRoom = sizeof(notice.text) - 1, kHead = 20;
  // What is too long loses its middle: it begins with what failed and ends with why.
  std::string text = line.size() <= kRoom ? line : line.substr(0, kHead) + "..." + line.substr(line.size() - (kRoom - kHead - 3));
  text.copy(notice.text, kRoom);
  for (auto& [id, client] : clients_) {
    if (client->session == session) client->connection.Send(notice);
  }
}

void Reception::Drop(ClientId id) {
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  std::unique_ptr<Client> client = std::move(found->second);
  clients_.erase(found);
  loop_->Remove(client->source);
  connections_.GiveBack(client->User());
  if (client->Silent()) return silent_.GiveBack(client->User());
  for (const auto& [other_id, other] : clients_) {
    if (other->session == client->session) return;  // it had already reconnected
  }
  sessions_->Disconnected(client->session);
}

void Reception::Drain() {
  AcceptAll();
  std::vector<ClientId> ids;
  for (const auto& [id, client] : clients_) ids.push_back(id);
  for (ClientId id : ids) Serve(id);
}

void Reception::Tick() {
  if (listening_.Valid() && listening_source_ == 0) {
    auto source = loop_->Add(listening_.Get(), EPOLLIN, [this](uint32_t) { AcceptAll(); });
    if (source) listening_source_ = *source;
  }
  int64_t now_ms = record::NowMs();
  std::vector<ClientId> silent;
  for (const auto& [id, client] : clients_) {
    if (client->Silent() && now_ms - client->since_ms > kHelloPatienceMs) silent.push_back(id);
  }
  for (ClientId id : silent) Drop(id);
}

}  // namespace leakhunt::ingest
