#include "collector/ingest/service.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "collector/notice.h"

namespace leakhunt::ingest {
namespace {

constexpr int64_t kIdleTickMs = 1000;
constexpr int64_t kHandOverPatienceMs = 2000;

// Milliseconds of a clock that nobody sets.
int64_t SteadyMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Nobody asked a collector that a program started, or that records one command, to serve other users; but workers of the
// program or command may have become one. Strangers read the name of any socket in /proc/net/unix.
Admittance AdmittanceOf(Mode mode) {
  if (geteuid() != 0) return Admittance::kOwnUser;
  return mode == Mode::kSpawned || mode == Mode::kCommand ? Admittance::kRelatives : Admittance::kAnyUser;
}

void ServeSignal(Service* service, const signalfd_siginfo& info, bool* stop) {
  switch (info.ssi_signo) {
    case SIGCHLD:
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      break;
    case SIGUSR1:
      service->Sessions().SnapshotOnSignal(info);
      break;
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
      *stop = true;
      break;
    default:
      break;
  }
}

// The running collector takes the connection. It may be just leaving, or not listening yet: the caller tries again.
Status PassOn(const Address& address, int client_fd) {
  auto running = ConnectTo(address);
  if (!running) return running.error();
  auto connection = Connection::Adopt(std::move(*running));
  if (!connection) return connection.error();
  if (connection->GetPeer().uid != geteuid() && connection->GetPeer().uid != 0)
    return Error{"the collector there is another user's"};
  return connection->SendDescriptor(MakeMessage(protocol::MessageKind::kAdopt), client_fd);
}

// Either the lock (become the collector), or nothing (the connection was passed on), or nothing and an error (go on
// alone).
struct Succession {
  std::optional<UniqueFd> lock;
  bool passed_on = false;
};

Succession Succeed(const Address& address, int client_fd) {
  Succession result;
  if (!PrepareDirectory(address)) return result;
  int64_t deadline = SteadyMs() + kHandOverPatienceMs;
  do {
    auto lock = TakeLock(address);
    if (!lock) return result;
    if (*lock) return result.lock = std::move(**lock), std::move(result);
    if (PassOn(address, client_fd)) return result.passed_on = true, std::move(result);
    poll(nullptr, 0, 20);
  } while (SteadyMs() < deadline);
  return result;
}

}  // namespace

Service::~Service() = default;

Result<std::unique_ptr<Service>> Service::Create(const Options& options, Mode mode, const sigset_t& signals) {
  std::unique_ptr<Service> service(new Service(options));
  if (Status started = service->Start(mode, signals); !started) return started.error();
  return service;
}

Status Service::Start(Mode mode, const sigset_t& signals) {
  auto loop = EventLoop::Create();
  if (!loop) return loop.error();
  loop_ = std::move(*loop);
  auto source = SignalSource::Open(signals);
  if (!source) return source.error();
  signals_ = std::move(*source);
  sessions_ = std::make_unique<SessionTable>(loop_.get(), options_, mode);
  door_ = std::make_unique<Reception>(loop_.get(), sessions_.get(), options_, AdmittanceOf(mode));
  sessions_->SetDrain([this] { door_->Drain(); });
  sessions_->SetOnUnwritten([this](SessionId id, const std::string& why) { door_->Say(id, why); });
  started_ms_ = SteadyMs();
  return Ok();
}

bool Service::DurationOver() const {
  return options_.duration_ms > 0 && SteadyMs() - started_ms_ >= options_.duration_ms;
}

int Service::TimeoutMs() const {
  int64_t wait = next_tick_ms_ - SteadyMs();
  if (int64_t work_ms = sessions_->WorkWaitMs(); work_ms >= 0) wait = std::min(wait, work_ms);
  if (options_.duration_ms > 0) wait = std::min(wait, started_ms_ + options_.duration_ms - SteadyMs());
  return static_cast<int>(std::max<int64_t>(wait, 0));
}

void Service::Run(const std::function<void(const signalfd_siginfo&)>& on_signal, const std::function<bool()>& stop) {
  auto source = loop_->Add(signals_.Fd(), EPOLLIN, [&](uint32_t) {
    while (auto info = signals_.Next()) on_signal(*info);
  });
  if (!source) return Notice(source.error().message);
  while (!stop()) {
    if (SteadyMs() >= next_tick_ms_) {
      door_->Tick();
      int64_t next_ms = sessions_->Tick();
      next_tick_ms_ = SteadyMs() + (sessions_->Count() > 0 ? next_ms : kIdleTickMs);
    }
    if (Status turned = loop_->RunOnce(TimeoutMs()); !turned) return Notice(turned.error().message);
    sessions_->Work();
    if (sessions_->Count() > 0) next_tick_ms_ = std::min(next_tick_ms_, SteadyMs() + record::Approach::kLatestMs);
  }
  loop_->Remove(*source);
}

Result<int> Serve(const Options& options, record::OnWritten on_written) {
  Address address = ChooseAddress(options.socket);
  if (Status ready = PrepareDirectory(address); !ready) return ready.error();
  auto lock = TakeLock(address);
  if (!lock) return lock.error();
  if (!*lock)
    return Error{"another collector already serves " + address.path.native() + ": stop it, or give --socket PATH"};
  auto service = Service::Create(options, Mode::kServe, ServiceSignals());
  if (!service) return service.error();
  (*service)->Sessions().SetOnWritten(std::move(on_written));
  (*service)->Sessions().LookAtOutput();
  auto listening = Listen(address);
  if (!listening) return listening.error();
  if (Status open = (*service)->Door().Open(std::move(*listening)); !open) return open.error();
  Detail("listening at " + address.path.native());
  bool stop = false;
  (*service)->Run([&](const signalfd_siginfo& info) { ServeSignal(service->get(), info, &stop); },
                  [&] { return stop || (*service)->DurationOver(); });
  (*service)->Sessions().StopAll();
  unlink(address.path.c_str());
  return 0;
}

Result<int> ServeSpawned(const Options& given) {
  Options options = given;
  options.output = record::AbsoluteOutput(options.output);
  Address address = ChooseAddress(options.socket);
  address.path = record::AbsoluteOutput(address.path);
  // Stay in nobody's way: the directory may be one to be unmounted. Where it was removed, a relative output stays what it is:
  // nothing can be written there.
  if (options.output.is_absolute()) (void)!chdir("/");
  UniqueFd client(options.client_fd);
  fcntl(client.Get(), F_SETFD, FD_CLOEXEC);
  Succession succession = Succeed(address, client.Get());
  if (succession.passed_on) return 0;
  auto service = Service::Create(options, Mode::kSpawned, ServiceSignals());
  if (!service) return service.error();
  Reception& door = (*service)->Door();
  door.Add(std::move(client));
  auto open_door = [&] {
    if (!succession.lock) return;
    auto listening = Listen(address);
    if (listening) (void)door.Open(std::move(*listening));
  };
  open_door();
  bool stop = false;
  int64_t busy_ms = SteadyMs();
  auto leave = [&] {
    if (stop || (*service)->DurationOver()) return true;
    if (door.Count() > 0 || (*service)->Sessions().Count() > 0) busy_ms = SteadyMs();
    if (SteadyMs() - busy_ms < options.linger_ms) return false;
    // Whoever connected before the socket's name went away is still served.
    if (succession.lock) unlink(address.path.c_str());
    door.Drain();
    if (door.Count() == 0 && (*service)->Sessions().Count() == 0) return true;
    open_door();
    return false;
  };
  (*service)->Run([&](const signalfd_siginfo& info) { ServeSignal(service->get(), info, &stop); }, leave);
  (*service)->Sessions().StopAll();
  if (succession.lock) unlink(address.path.c_str());
  return 0;
}

}  // namespace leakhunt::ingest
