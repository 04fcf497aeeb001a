// Stopping a thread: what the kernel's refusals mean.
#include "collector/attach/traced_thread.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace leakhunt::attach {
namespace {

// The kernel answers EPERM for it, as for what we may not trace; an ending thread among others must not stop an attach.
TEST(TracedThread, OneThatHasEndedIsGoneAndNotForbidden) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);  // a zombie from here on
  bool refused = false;
  EXPECT_FALSE(TracedThread::Stop(child, child, 100, &refused));
  EXPECT_FALSE(refused);
  waitpid(child, nullptr, 0);
}

TEST(TracedThread, ItselfIsForbidden) {
  bool refused = false;
  EXPECT_FALSE(TracedThread::Stop(getpid(), getpid(), 100, &refused));
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace leakhunt::attach
