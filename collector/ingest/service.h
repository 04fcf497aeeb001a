// The collector as a whole: loop, table, door, clock and signals, and the three ways of running it that need no
// command.
#pragma once

#include <memory>
#include <optional>

#include "collector/ingest/address.h"
#include "collector/ingest/event_loop.h"
#include "collector/ingest/reception.h"
#include "collector/ingest/session_table.h"
#include "collector/ingest/signals.h"

namespace leakhunt::ingest {

// Parts that every mode shares. Ticks four times a second while something is recorded.
class Service {
 public:
  static Result<std::unique_ptr<Service>> Create(const Options& options, Mode mode, const sigset_t& signals);
  ~Service();

  EventLoop& Loop() { return *loop_; }
  SessionTable& Sessions() { return *sessions_; }
  Reception& Door() { return *door_; }
  const SignalSource& Signals() const { return signals_; }

  // Runs until `stop` says so; `on_signal` gets every signal. `stop` is asked after each turn of the loop.
  void Run(const std::function<void(const signalfd_siginfo&)>& on_signal, const std::function<bool()>& stop);

  // True once --duration has passed.
  bool DurationOver() const;

 private:
  explicit Service(const Options& options) : options_(options) {}
  Status Start(Mode mode, const sigset_t& signals);
  int TimeoutMs() const;

  const Options& options_;
  std::unique_ptr<EventLoop> loop_;
  SignalSource signals_;
  std::unique_ptr<SessionTable> sessions_;
  std::unique_ptr<Reception> door_;
  int64_t started_ms_ = 0;
  int64_t next_tick_ms_ = 0;
};

// Serves every preloaded process until a signal or --duration. Returns the exit status.
Result<int> Serve(const Options& options, record::OnWritten on_written);

// A collector that a guest spawned: takes options.client_fd, hands it to the collector that is already there or becomes
// it, and leaves some seconds after its last client.
Result<int> ServeSpawned(const Options& options);

}  // namespace leakhunt::ingest
