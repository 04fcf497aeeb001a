// A collector without its main loop, for tests of sessions: what it writes goes into a directory of the test's.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "collector/ingest/address.h"
#include "collector/ingest/reception.h"
#include "collector/snapshot/recording.h"
#include "fake_guest.h"

namespace leakhunt::ingest {

using leakhunt::testing::FakeGuest;
using leakhunt::testing::Order;
using leakhunt::testing::PageBuilder;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    options_.output = directory_.Path() + "/recordings";
    options_.output_given = true;
    socket_ = directory_.Path() + "/collector.sock";
    Restart();
  }

  // A new collector with the same options, as after a crash of the first.
  void Restart() {
    door_.reset();
    sessions_.reset();
    loop_ = std::move(*EventLoop::Create());
    sessions_ = std::make_unique<SessionTable>(loop_.get(), options_, Mode::kServe);
    door_ = std::make_unique<Reception>(loop_.get(), sessions_.get(), options_, Admittance::kOwnUser);
    sessions_->SetDrain([this] { door_->Drain(); });
    ASSERT_TRUE(door_->Open(std::move(*Listen({socket_}))));
  }

  UniqueFd Pages(uint32_t image = 0, uint64_t started_ns = leakhunt::testing::kStartedNs) {
    PageBuilder builder;
    builder.header().image = image;
    builder.header().start_ticks = 77;
    builder.header().started_ns = started_ns;
    uint32_t stack = builder.AddStack({0x1000, 0x2000});
    builder.AddRecord({.size = 640, .stack = stack});
    return builder.Seal();
  }

  // Turns the loop, ticks included, until `done` or five seconds have passed.
  template <typename Condition>
  bool Until(Condition done) {
    for (int i = 0; i < 500; ++i) {
      if (done()) return true;
      EXPECT_TRUE(loop_->RunOnce(10));
      sessions_->Work();
      sessions_->Tick();
    }
    return done();
  }

  void Welcome(FakeGuest* guest) {
    guest->Tell(Order::kHello);
    char answer = '?';
    ASSERT_TRUE(Until([&] { return (answer = guest->Answer()) != '?'; }));
    ASSERT_EQ(answer, 'w');
  }

  std::vector<snapshot::Recording> Recordings() {
    auto found = snapshot::FindRecordings(options_.output);
    return found ? *found : std::vector<snapshot::Recording>();
  }
  snapshot::Snapshot Last(const snapshot::Recording& recording) {
    return *snapshot::ReadSnapshot(recording.files.back());
  }
  bool Gone() { return sessions_->Count() == 0; }

  leakhunt::testing::TemporaryDirectory directory_;
  Options options_;
  std::string socket_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SessionTable> sessions_;
  std::unique_ptr<Reception> door_;
};

}  // namespace leakhunt::ingest
