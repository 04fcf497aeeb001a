#include "collector/snapshot/process_flags.h"

#include <gtest/gtest.h>

#include "collector/snapshot/model.h"
#include "preload/protocol/layout.h"

namespace leakhunt {
namespace {

TEST(ProcessFlags, AreTheWiresOwn) {
  EXPECT_EQ(uint32_t{snapshot::kForkedChild}, uint32_t{protocol::kFlagForkedChild});
  EXPECT_EQ(uint32_t{snapshot::kInjected}, uint32_t{protocol::kFlagInjected});
  EXPECT_EQ(uint32_t{snapshot::kOwnMalloc}, uint32_t{protocol::kFlagOwnMalloc});
  EXPECT_EQ(uint32_t{snapshot::kSwitchedOff}, uint32_t{protocol::kFlagSwitchedOff});
  EXPECT_EQ(uint32_t{snapshot::kSeccomp}, uint32_t{protocol::kFlagSeccomp});
  EXPECT_EQ(uint32_t{snapshot::kNoModules}, uint32_t{protocol::kFlagNoModules});
  EXPECT_EQ(uint32_t{snapshot::kDetached}, uint32_t{protocol::kFlagDetached});
}

TEST(HandleTypes, AreTheWiresOwn) {
  EXPECT_EQ(snapshot::kHandleTypes, static_cast<int>(protocol::kHandleTypes));
  EXPECT_EQ(static_cast<int>(snapshot::HandleType::kDevice), static_cast<int>(protocol::HandleType::kDevice));
  EXPECT_EQ(static_cast<int>(snapshot::HandleType::kEpoll), static_cast<int>(protocol::HandleType::kEpoll));
}

TEST(Names, AreTheContractsWords) {
  EXPECT_STREQ(snapshot::HandleTypeName(snapshot::HandleType::kIoUring), "io_uring");
  EXPECT_STREQ(snapshot::HandleTypeName(snapshot::HandleType::kDevice), "device");
  EXPECT_STREQ(snapshot::HandleTypeName(static_cast<snapshot::HandleType>(200)), "other");
  EXPECT_STREQ(snapshot::SiteKindName(snapshot::SiteKind::kThread), "thread");
  EXPECT_STREQ(snapshot::EndName(snapshot::End::kOom), "oom");
}

}  // namespace
}  // namespace leakhunt
